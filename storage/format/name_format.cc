#include "storage/format/name_format.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace engram::storage {
namespace {

enum class Kind : std::uint8_t { kSeparator, kApostrophe, kMark, kLetterOrDigit };

struct Character {
  Kind kind = Kind::kSeparator;
  std::size_t bytes = 1;
};

constexpr utf8proc_int32_t kRightQuote = 0x2019;
constexpr utf8proc_int32_t kModifierApostrophe = 0x02BC;
constexpr absl::string_view kModifierApostropheBytes = "\xCA\xBC";

Kind KindOf(utf8proc_int32_t code) {
  if (code == '\'' || code == kRightQuote || code == kModifierApostrophe) return Kind::kApostrophe;
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return Kind::kLetterOrDigit;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return Kind::kMark;
    default: return Kind::kSeparator;
  }
}

const utf8proc_uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// Precondition: at < text.size().
Character CharacterAt(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at, 4);
  utf8proc_int32_t code = 0;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(Bytes(rest), static_cast<utf8proc_ssize_t>(rest.size()), &code);
  if (bytes <= 0) return {};
  return {.kind = KindOf(code), .bytes = static_cast<std::size_t>(bytes)};
}

// Returns: what utf8proc makes of `text` by `options`; empty if it refuses.
std::string Mapped(std::string_view text, int options) {
  const auto option = static_cast<utf8proc_option_t>(options);
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  const utf8proc_ssize_t needed = utf8proc_decompose(Bytes(text), size, nullptr, 0, option);
  if (needed < 0) return {};
  // One more: reencode ends its bytes, which it writes in place, with a zero.
  std::vector<utf8proc_int32_t> codes(static_cast<std::size_t>(needed) + 1);
  if (utf8proc_decompose(Bytes(text), size, codes.data(), needed, option) != needed) return {};
  const utf8proc_ssize_t bytes = utf8proc_reencode(codes.data(), needed, option);
  if (bytes < 0) return {};
  return {reinterpret_cast<const char*>(codes.data()), static_cast<std::size_t>(bytes)};
}

std::string Folded(std::string_view token) {
  // Also bounds the sort of a run of marks, which is quadratic in utf8proc.
  if (token.size() > kMaxNameBytes) return {};
  if (std::all_of(token.begin(), token.end(), absl::ascii_isascii)) {
    std::string lower(token);
    absl::AsciiStrToLower(&lower);
    return lower;
  }
  // Folding makes a letter of the mark U+0345, which must find its place among the marks first.
  const std::string ordered = Mapped(token, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  std::string folded = Mapped(ordered, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
  // U+0149 folds to one and an n.
  absl::StrReplaceAll({{kModifierApostropheBytes, ""}}, &folded);
  if (folded.size() > kMaxNameBytes) folded.clear();
  return folded;
}

// Returns: the first tokens of `text`, at most `limit`.
std::vector<NameToken> FirstTokensOf(std::string_view text, std::size_t limit) {
  std::vector<NameToken> tokens;
  constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
  std::size_t word_end = kNowhere;    // of the last token, its possessive included
  std::size_t possessive = kNowhere;  // where an apostrophe right after it ends
  for (std::size_t at = 0; at < text.size() && tokens.size() < limit;) {
    Character character = CharacterAt(text, at);
    if (character.kind != Kind::kLetterOrDigit) {
      const bool after_word = character.kind == Kind::kApostrophe && at == word_end;
      at += character.bytes;
      if (after_word) possessive = at;
      continue;
    }
    const std::size_t begin = at;
    while (character.kind == Kind::kLetterOrDigit || character.kind == Kind::kMark) {
      at += character.bytes;
      if (at == text.size()) break;
      character = CharacterAt(text, at);
    }
    word_end = at;
    std::string folded = Folded(text.substr(begin, at - begin));
    if (begin == possessive && folded == "s") continue;
    tokens.push_back({.folded = std::move(folded), .begin = begin, .end = at});
  }
  return tokens;
}

}  // namespace

std::vector<NameToken> TokensOf(std::string_view text) {
  return FirstTokensOf(text, std::numeric_limits<std::size_t>::max());
}

std::string NormalForm(std::string_view key) {
  const std::vector<NameToken> tokens = FirstTokensOf(key, kMaxNameTokens + 1);
  if (tokens.size() > kMaxNameTokens) return {};
  std::string form;
  for (const NameToken& token : tokens) {
    if (token.folded.empty()) return {};
    if (!form.empty()) form += ' ';
    form += token.folded;
  }
  if (form.size() > kMaxNameBytes) form.clear();
  return form;
}

std::string_view NameUnicodeVersion() { return utf8proc_unicode_version(); }

}  // namespace engram::storage
