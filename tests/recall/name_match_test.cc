// Keys named in a text: the longest first, no overlaps, whole tokens, and no
// more look-ups than are told.
#include "recall/name_match.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "storage/format/name_format.h"
#include "tests/support/scale.h"

namespace engram::recall {
namespace {

using Strings = std::vector<std::string>;

// Keys as an ordered index holds them: by their forms.
class Keys {
 public:
  Keys(std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) Add(key);
  }
  void Add(std::string_view key) { forms_.insert(storage::NormalForm(key)); }
  const std::set<std::string>& forms() const { return forms_; }

  absl::StatusOr<NameFound> LookUp(std::string_view form) {
    ++look_ups_;
    longest_ = std::max(longest_, form.size());
    const std::string begin = std::string(form) + ' ';
    const auto longer = forms_.lower_bound(begin);
    return NameFound{.whole = forms_.contains(std::string(form)),
                     .may_grow = longer != forms_.end() && longer->starts_with(begin)};
  }
  std::vector<NameMatch> In(std::string_view text) {
    const auto matches = MatchNames(text, [this](std::string_view form) { return LookUp(form); });
    EXPECT_TRUE(matches.ok()) << matches.status();
    return matches.ok() ? *matches : std::vector<NameMatch>{};
  }
  Strings FormsIn(std::string_view text) {
    Strings forms;
    for (const NameMatch& match : In(text)) forms.push_back(match.form);
    return forms;
  }
  std::size_t look_ups() const { return look_ups_; }
  std::size_t longest() const { return longest_; }

 private:
  std::set<std::string> forms_;
  std::size_t look_ups_ = 0;
  std::size_t longest_ = 0;
};

TEST(NameMatch, FindsWholeTokensInAnySpelling) {
  Keys keys{"Publix", "Hello Love", "Person-centered therapy", "José"};
  const std::string text =
      "How many Publix stores are in the state where HELLO  Love\u2019s performer lived?";
  EXPECT_EQ(keys.In(text), (std::vector<NameMatch>{
                               {.form = "publix", .begin = 9, .end = 15},
                               {.form = "hello love", .begin = 46, .end = 57},
                           }));
  EXPECT_EQ(text.substr(46, 57 - 46), "HELLO  Love");
  EXPECT_EQ(keys.FormsIn("person centered therapy, by Jose\u0301's"),
            (Strings{"person centered therapy", "jos\u00E9"}));
  EXPECT_EQ(keys.FormsIn("Publixes and Hello Lover, Hello; love"), (Strings{"hello love"}));
}

TEST(NameMatch, TheLongestGoesFirstWhereverItIs) {
  Keys keys{"New York", "York City Hall", "New", "York", "City", "New York City"};
  EXPECT_EQ(keys.FormsIn("New York"), (Strings{"new york"}));
  EXPECT_EQ(keys.FormsIn("New York City"), (Strings{"new york city"}));
  // Of three tokens each: the first.
  EXPECT_EQ(keys.FormsIn("New York City Hall"), (Strings{"new york city"}));
  Keys longer{"New York", "York City Hall", "New"};
  EXPECT_EQ(longer.FormsIn("New York City Hall"), (Strings{"new", "york city hall"}));
  EXPECT_EQ(longer.FormsIn("York New York"), (Strings{"new york"}));
}

TEST(NameMatch, MatchesDoNotOverlapAndComeInOrder) {
  Keys keys{"a a", "a", "b c d"};
  EXPECT_EQ(keys.FormsIn("a a a x b c d a"), (Strings{"a a", "a", "b c d", "a"}));
}

TEST(NameMatch, FindsNothingWhereNothingIs) {
  Keys none{};
  EXPECT_TRUE(none.In("Publix").empty());
  Keys keys{"Publix"};
  EXPECT_TRUE(keys.In("").empty());
  EXPECT_TRUE(keys.In("?! 😀").empty());
  EXPECT_TRUE(keys.In("\xC3\xFF").empty());
  EXPECT_EQ(keys.FormsIn("\xFFPublix\xC3"), (Strings{"publix"}));
}

TEST(NameMatch, LooksUpNoMoreThanTheBound) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "a ";
  std::size_t look_ups = 0, longest = 0;
  const auto matches = MatchNames(text, [&](std::string_view form) {
    ++look_ups;
    longest = std::max(longest, form.size());
    return absl::StatusOr<NameFound>(NameFound{.whole = true, .may_grow = true});
  });
  ASSERT_TRUE(matches.ok());
  const std::size_t n = storage::kMaxNameTokens;
  EXPECT_EQ(look_ups, 1000 * n - n * (n - 1) / 2);
  EXPECT_EQ(longest, 2 * n - 1);
  EXPECT_EQ(matches->size(), 1000 / n + 1);
  EXPECT_EQ(matches->front().form.size(), 2 * n - 1);
  EXPECT_EQ(matches->back().form, "a a a a a a a a") << "what is left of 1000";

  Keys keys{"b c"};
  keys.In(text);
  EXPECT_EQ(keys.look_ups(), 1000u) << "no form begins so: one look-up a token";
}

TEST(NameMatch, LongTokensEndARun) {
  const std::string half(storage::kMaxNameBytes / 2, 'x');
  const std::string over(storage::kMaxNameBytes + 1, 'x');
  Keys keys{"a", "b", "a b"};
  EXPECT_EQ(keys.FormsIn("a " + over + " b"), (Strings{"a", "b"}));
  std::size_t longest = 0;
  const auto matches = MatchNames(half + " " + half, [&](std::string_view form) {
    longest = std::max(longest, form.size());
    return absl::StatusOr<NameFound>(NameFound{.may_grow = true});
  });
  ASSERT_TRUE(matches.ok());
  EXPECT_EQ(longest, half.size());
}

TEST(NameMatch, PassesAnErrorOn) {
  int look_ups = 0;
  const auto matches = MatchNames("a b c d", [&](std::string_view form) {
    ++look_ups;
    if (form == "b") return absl::StatusOr<NameFound>(absl::DataLossError("index of names"));
    return absl::StatusOr<NameFound>(NameFound{});
  });
  EXPECT_EQ(matches.status(), absl::DataLossError("index of names"));
  EXPECT_EQ(look_ups, 2);
}

// Every run of tokens that is a form, chosen by the words of the header.
std::vector<NameMatch> Plain(std::string_view text, const std::set<std::string>& forms) {
  const auto tokens = storage::TokensOf(text);
  std::vector<bool> taken(tokens.size());
  std::vector<NameMatch> matches;
  for (std::size_t count = storage::kMaxNameTokens; count > 0; --count) {
    for (std::size_t first = 0; first + count <= tokens.size(); ++first) {
      std::string form = tokens[first].folded;
      bool free = !taken[first];
      for (std::size_t i = first + 1; i < first + count; ++i) {
        form += ' ' + tokens[i].folded;
        free = free && !taken[i];
      }
      if (!free || !forms.contains(form)) continue;
      for (std::size_t i = first; i < first + count; ++i) taken[i] = true;
      matches.push_back(
          {.form = form, .begin = tokens[first].begin, .end = tokens[first + count - 1].end});
    }
  }
  std::sort(matches.begin(), matches.end(),
            [](const NameMatch& a, const NameMatch& b) { return a.begin < b.begin; });
  return matches;
}

TEST(NameMatch, EqualsThePlainChoice) {
  const auto seed = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_NAME_SEED", 20240602));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random);
  };
  const char* const words[] = {"a", "B", "a's", "é", "e\u0301", "s", "c-a", "'s", "\xFF", "日本"};
  const auto sentence = [&](std::uint32_t length) {
    std::string text;
    for (std::uint32_t i = 0; i < length; ++i) {
      text += words[below(std::size(words))];
      text += below(8) == 0 ? "" : " ";
    }
    return text;
  };
  std::size_t found = 0;
  for (int round = 0; round < 2000; ++round) {
    Keys keys{};
    for (std::uint32_t left = below(12); left > 0; --left) keys.Add(sentence(1 + below(5)));
    const std::string text = sentence(below(30));
    const auto matches = keys.In(text);
    ASSERT_EQ(matches, Plain(text, keys.forms())) << "round " << round;
    found += matches.size();
  }
  EXPECT_GT(found, 2000u);
}

}  // namespace
}  // namespace engram::recall
