// The normal form of keys: what is a token, how it is folded, that a form is
// its own form, and that no bytes make it read or lose what it must not. The
// forms written here are frozen: they are keys on disk.
#include "storage/format/name_format.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/scale.h"

namespace engram::storage {
namespace {

using std::string_literals::operator""s;

std::vector<std::string> FoldedOf(std::string_view text) {
  std::vector<std::string> folded;
  for (const NameToken& token : TokensOf(text)) folded.push_back(token.folded);
  return folded;
}

// What TokensOf cut out of `text`, as written.
std::vector<std::string> WrittenOf(std::string_view text) {
  std::vector<std::string> written;
  for (const NameToken& token : TokensOf(text)) {
    written.emplace_back(text.substr(token.begin, token.end - token.begin));
  }
  return written;
}

using Strings = std::vector<std::string>;

TEST(NameFormat, FoldsCase) {
  EXPECT_EQ(NormalForm("Hello LOVE"), "hello love");
  EXPECT_EQ(NormalForm("ΟΔΥΣΣΕΎΣ"), NormalForm("οδυσσεύς")) << "the final sigma";
  EXPECT_EQ(NormalForm("Straße"), "strasse");
  EXPECT_EQ(NormalForm("STRASSE"), "strasse");
  EXPECT_EQ(NormalForm("STRAẞE"), "strasse");
  EXPECT_EQ(NormalForm("ﬁnal"), "final");
  EXPECT_EQ(NormalForm("Ⅷ"), "ⅷ");
}

TEST(NameFormat, FoldsDottedAndDotlessIAsNoLanguageOfItsOwn) {
  EXPECT_EQ(NormalForm("İstanbul"), "i\u0307stanbul");
  EXPECT_EQ(NormalForm("I\u0307stanbul"), "i\u0307stanbul");
  EXPECT_EQ(NormalForm("DIYARBAKIR"), "diyarbakir");
  EXPECT_EQ(NormalForm("Diyarbakır"), "diyarbakır");
}

TEST(NameFormat, ComposesAccents) {
  EXPECT_EQ(NormalForm("Jos\u00E9"), "jos\u00E9");
  EXPECT_EQ(NormalForm("Jose\u0301"), "jos\u00E9");
  EXPECT_EQ(NormalForm("JOSE\u0301"), "jos\u00E9");
  EXPECT_NE(NormalForm("Jose"), NormalForm("Jos\u00E9"));
  EXPECT_EQ(NormalForm("\u212Bngstr\u00F6m"), "\u00E5ngstr\u00F6m");
  EXPECT_EQ(NormalForm("\u1100\u1161\u11A8"), "\uAC01") << "Hangul";
  // Two marks in either order.
  EXPECT_EQ(NormalForm("a\u0323\u0302"), "\u1EAD");
  EXPECT_EQ(NormalForm("a\u0302\u0323"), "\u1EAD");
  // The iota below folds to a letter, yet is ordered as the mark that it was.
  EXPECT_EQ(NormalForm("\u03B1\u0345\u0342"), NormalForm("\u1FB7"));
  EXPECT_EQ(NormalForm("\u1FB7"), "\u1FB6\u03B9");
}

TEST(NameFormat, CutsPossessives) {
  EXPECT_EQ(NormalForm("Publix's"), "publix");
  EXPECT_EQ(NormalForm("PUBLIX'S"), "publix");
  EXPECT_EQ(NormalForm("Hello Love\u2019s"), "hello love");
  EXPECT_EQ(NormalForm("Hello Love\u02BCs performer"), "hello love performer");
  EXPECT_EQ(NormalForm("Jos\u00E9's"), "jos\u00E9");
  EXPECT_EQ(NormalForm("dogs'"), "dogs");
  EXPECT_EQ(NormalForm("dogs' s"), "dogs s");
  EXPECT_EQ(NormalForm("'s Gravenhage"), "s gravenhage");
  EXPECT_EQ(NormalForm("(\u2019s-Gravenhage"), "s gravenhage");
  EXPECT_EQ(NormalForm("x ''s"), "x s");
  EXPECT_EQ(NormalForm("x''s"), "x s");
  EXPECT_EQ(NormalForm("it'self"), "it self");
  EXPECT_EQ(NormalForm("it's's"), "it");
  EXPECT_EQ(NormalForm("s's"), "s");
  EXPECT_EQ(NormalForm("O'Neill"), "o neill");
  EXPECT_EQ(WrittenOf("Love\u2019s rose"), (Strings{"Love", "rose"}));
}

TEST(NameFormat, EachApostropheSeparates) {
  for (const char* spelling : {"П'ять", "П\u2019ять", "П\u02BCять"}) {
    EXPECT_EQ(NormalForm(spelling), "п ять");
  }
  EXPECT_EQ(NormalForm("\u0149deur"), "ndeur") << "its apostrophe is none of a letter";
  EXPECT_EQ(NormalForm("'ndeur"), "ndeur");
}

TEST(NameFormat, SeparatesByEverythingElse) {
  EXPECT_EQ(NormalForm("Person-centered  therapy"), "person centered therapy");
  EXPECT_EQ(NormalForm("snake_case"), "snake case");
  EXPECT_EQ(NormalForm("U.S."), "u s");
  EXPECT_EQ(NormalForm("AC/DC\t\n1,000.5"), "ac dc 1 000 5");
  EXPECT_EQ(NormalForm("Apollo 11"), "apollo 11");
  EXPECT_EQ(NormalForm("R2D2 x²"), "r2d2 x²");
  EXPECT_EQ(NormalForm("٣ १२"), "٣ १२") << "digits stay those of their script";
  EXPECT_EQ(NormalForm("a\0b"s), "a b");
  EXPECT_EQ(NormalForm("a\u00A0b\u3000c\u200Bd"), "a b c d");
  EXPECT_EQ(NormalForm("C++ & C#"), "c c");
}

TEST(NameFormat, TakesScriptsWithoutCaseOrSpaces) {
  EXPECT_EQ(FoldedOf("東京タワー、大阪"), (Strings{"東京タワー", "大阪"}));
  EXPECT_EQ(FoldedOf("हिन्दी भाषा"), (Strings{"हिन्दी", "भाषा"})) << "marks are in the middle";
}

TEST(NameFormat, EmojiAndMarksAloneAreNoTokens) {
  EXPECT_EQ(NormalForm("😀👩‍🚀"), "");
  EXPECT_EQ(NormalForm("I ❤\uFE0F NY"), "i ny") << "the variation selector is a mark";
  EXPECT_EQ(NormalForm("\u0301a"), "a");
  EXPECT_EQ(NormalForm("- \u0301 -"), "");
}

TEST(NameFormat, NothingHasNoForm) {
  for (const char* text : {"", " ", "?!", "...—…", "''", "\u02BC", "$€"}) {
    EXPECT_EQ(NormalForm(text), "") << text;
    EXPECT_TRUE(TokensOf(text).empty()) << text;
  }
}

TEST(NameFormat, BytesThatAreNotUtf8Separate) {
  const struct {
    const char* what;
    std::string text;
    Strings tokens;
  } cases[] = {
      {"a byte that only continues", "a\x80z", {"a", "z"}},
      {"two bytes cut short", "a\xC3z", {"a", "z"}},
      {"three bytes cut short", "a\xE2\x82z", {"a", "z"}},
      {"four bytes cut short", "a\xF0\x90\x90z", {"a", "z"}},
      {"cut by the end", "az\xF0\x90\x90", {"az"}},
      {"cut by the end, two", "az\xC3", {"az"}},
      {"overlong two", "a\xC1\xA1z", {"a", "z"}},
      {"overlong three", "a\xE0\x81\xA1z", {"a", "z"}},
      {"overlong four", "a\xF0\x80\x81\xA1z", {"a", "z"}},
      {"a surrogate", "a\xED\xA0\x80z", {"a", "z"}},
      {"beyond the last code point", "a\xF4\x90\x80\x80z", {"a", "z"}},
      {"no lead at all", "a\xFF\xFEz", {"a", "z"}},
      {"Latin-1", "caf\xE9 noir", {"caf", "noir"}},
      {"only such", "\x80\xC0\xFF", {}},
      {"a lead before a letter of two bytes", "\xE2\xC3\xA9", {"\u00E9"}},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(FoldedOf(one.text), one.tokens) << one.what;
    // Exactly as large as the text: an overread is one of the allocation.
    const std::vector<char> exact(one.text.begin(), one.text.end());
    EXPECT_EQ(FoldedOf({exact.data(), exact.size()}), one.tokens) << one.what;
  }
}

TEST(NameFormat, FormsAreBounded) {
  std::string key = "t0";
  for (std::size_t i = 1; i < kMaxNameTokens; ++i) key += " t" + std::to_string(i);
  EXPECT_EQ(NormalForm(key), key);
  EXPECT_EQ(NormalForm(key + "'s"), key) << "the possessive is no token";
  EXPECT_EQ(NormalForm(key + " x"), "");

  EXPECT_EQ(NormalForm(std::string(kMaxNameBytes, 'x')), std::string(kMaxNameBytes, 'x'));
  EXPECT_EQ(NormalForm(std::string(kMaxNameBytes + 1, 'x')), "");
  EXPECT_EQ(NormalForm(std::string(kMaxNameBytes - 2, 'x') + " y").size(), kMaxNameBytes);
  EXPECT_EQ(NormalForm(std::string(kMaxNameBytes - 1, 'x') + " y"), "");

  // Three bytes whose iota below folds to a letter of two more.
  std::string grows;
  while (grows.size() + 3 <= kMaxNameBytes) grows += "\u1F82";
  EXPECT_EQ(NormalForm("\u1F82"), "\u1F02\u03B9");
  EXPECT_EQ(NormalForm(grows), "");
  const std::vector<NameToken> tokens = TokensOf("a " + grows + " b");
  ASSERT_EQ(tokens.size(), 3u) << "a token without a form is still one";
  EXPECT_EQ(tokens[1].folded, "");
  EXPECT_EQ(tokens[1].end - tokens[1].begin, grows.size());
}

TEST(NameFormat, LongTextsTakeLinearTime) {
  // Quadratic work on any of these would run into the time limit of the test.
  const std::size_t size = std::size_t{1} << 23;
  std::string words, marks = "a", apostrophes = "a", invalid;
  while (words.size() < size) words += "Wörter's ";
  // Alternating classes: sorted into their order in one piece they are the worst case.
  while (marks.size() < size) marks += "\u0301\u0323";
  while (apostrophes.size() < size) apostrophes += "'s";
  invalid.assign(size, '\xF0');
  EXPECT_EQ(TokensOf(words).size(), words.size() / 10);
  EXPECT_EQ(TokensOf(marks).size(), 1u);
  EXPECT_EQ(TokensOf(marks)[0].folded, "");
  EXPECT_EQ(NormalForm(apostrophes), "a");
  EXPECT_TRUE(TokensOf(invalid).empty());
  EXPECT_EQ(NormalForm(words), "");
}

void AppendUtf8(std::uint32_t code, std::string& text) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// What holds of the tokens and the form of any bytes.
void ExpectSound(const std::string& text) {
  const std::vector<NameToken> tokens = TokensOf(text);
  std::size_t at = 0;
  for (const NameToken& token : tokens) {
    ASSERT_LE(at, token.begin);
    ASSERT_LT(token.begin, token.end);
    ASSERT_LE(token.end, text.size());
    at = token.end;
    // A token alone is the same token, and so is what it folds to.
    const Strings same{token.folded};
    ASSERT_EQ(FoldedOf(text.substr(token.begin, token.end - token.begin)), same);
    if (!token.folded.empty()) {
      ASSERT_EQ(FoldedOf(token.folded), same);
    }
  }
  const std::string form = NormalForm(text);
  ASSERT_EQ(NormalForm(form), form);
  ASSERT_LE(form.size(), kMaxNameBytes);
  for (const char c : form) ASSERT_GE(static_cast<unsigned char>(c), ' ');
}

TEST(NameFormat, EveryCodePointHasItsOwnForm) {
  for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
    for (const char* around : {"", "a"}) {
      std::string text = around;
      AppendUtf8(code, text);
      text += around;
      ASSERT_NO_FATAL_FAILURE(ExpectSound(text)) << std::hex << code;
    }
  }
}

TEST(NameFormat, AnyBytesAreSound) {
  const auto seed = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_NAME_SEED", 20240601));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random);
  };
  const std::string pieces[] = {"'s",     "'",    "\u2019s",  "\u02BC", " ",      ".",
                                "s",      "S",    "\u0149",   "\u0345", "\u0301", "\u0323",
                                "\u1FB7", "\xC3", "\xE2\x82", "\u1100", "\u1161", "\u11A8",
                                "İ",      "ß",    "A"};
  for (int i = 0; i < 40000; ++i) {
    std::string text;
    for (std::uint32_t left = below(40); left > 0; --left) {
      switch (below(4)) {
        case 0: text += static_cast<char>(below(256)); break;
        case 1: AppendUtf8(below(0x3000), text); break;
        case 2: AppendUtf8(below(0x110000), text); break;
        default: text += pieces[below(std::size(pieces))]; break;
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSound(text)) << "text " << i << ::testing::PrintToString(text);
  }
}

TEST(NameFormat, TellsItsUnicode) {
  const std::string_view version = NameUnicodeVersion();
  EXPECT_NE(version.find('.'), std::string_view::npos) << version;
}

}  // namespace
}  // namespace engram::storage
