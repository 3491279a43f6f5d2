// The normal form of a key: the spelling under which a text that mentions it is
// matched with it. Forms are keys of an index on disk, so these rules are
// frozen with it.
//
// A token is a run of letters, marks and digits (Unicode categories L, M, N)
// that begins with no mark, folded (full case folding, no language's own) and
// composed (NFC). Everything else separates: spaces, punctuation, symbols,
// unassigned code points, U+02BC (an apostrophe here, though Unicode calls it a
// letter), and each byte that is not part of valid UTF-8. A token "s" right
// after an apostrophe (' U+2019 U+02BC) that is right after a token is the
// possessive, and no token. Scripts that put no spaces between words have no
// token smaller than what stands between punctuation.
//
// Which code points are assigned is utf8proc's knowledge and grows with
// Unicode; what Unicode promises never to change is how assigned ones fold and
// compose.
#ifndef ENGRAM_STORAGE_FORMAT_NAME_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_NAME_FORMAT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace engram::storage {

inline constexpr std::size_t kMaxNameTokens = 16;
inline constexpr std::size_t kMaxNameBytes = 512;

struct NameToken {
  std::string folded;  // empty: over kMaxNameBytes, as written or as folded; no form holds it
  std::size_t begin = 0;
  std::size_t end = 0;  // the bytes [begin, end) of the text, without a possessive
};

// Returns: the tokens of `text`, which may be any bytes, in order. The work is
// linear in its size.
std::vector<NameToken> TokensOf(std::string_view text);

// Returns: the folded tokens of `key` joined by one space each; empty when there
// are none, more than kMaxNameTokens, or more than kMaxNameBytes bytes of them.
// A space is the smallest byte that a form can hold, and a form is its own form.
std::string NormalForm(std::string_view key);

// Returns: the version of Unicode that says here which code points are letters,
// marks and digits, as "15.0.0". The forms of two versions differ at most where
// a key holds code points that one of them does not know.
std::string_view NameUnicodeVersion();

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_NAME_FORMAT_H_
