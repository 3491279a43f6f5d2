// Which way a search goes, fact by fact.
#include "engine/search_planner.h"

#include <gtest/gtest.h>

namespace engram::engine {
namespace {

struct Case {
  const char* what;
  SearchFacts facts;
  SearchPath path;
};

constexpr SearchPath kPlain = SearchPath::kPlainScan;
constexpr SearchPath kCertified = SearchPath::kCertifiedScan;

constexpr Case kCases[] = {
    {"all sealed", {.rows = 100000, .coded_rows = 100000, .k = 10}, kCertified},
    {"the caller's wish", {.plain = true, .rows = 100000, .coded_rows = 100000, .k = 10}, kPlain},
    {"a query of 1e20", {.bounded = false, .rows = 100000, .coded_rows = 100000, .k = 10}, kPlain},
    {"nothing", {}, kPlain},
    {"a tail alone", {.rows = 100000, .coded_rows = 0, .k = 10}, kPlain},
    {"few rows", {.rows = 1023, .coded_rows = 1023, .k = 10}, kPlain},
    {"enough rows", {.rows = 1024, .coded_rows = 1024, .k = 10}, kCertified},
    {"half of them coded", {.rows = 4000, .coded_rows = 2000, .k = 10}, kCertified},
    {"less than half coded", {.rows = 4000, .coded_rows = 1999, .k = 10}, kPlain},
    {"many hits", {.rows = 16000, .coded_rows = 16000, .k = 1000}, kCertified},
    {"too many hits", {.rows = 16000, .coded_rows = 16000, .k = 1001}, kPlain},
    {"all rows as hits", {.rows = 100000, .coded_rows = 100000, .k = 100000}, kPlain},
    {"one hit of the fewest", {.rows = 1024, .coded_rows = 1024, .k = 1}, kCertified},
    {"rows past 32 bits",
     {.rows = std::uint64_t{1} << 40, .coded_rows = std::uint64_t{1} << 40, .k = 10},
     kCertified},
};

TEST(SearchPlanner, ChoosesByTheTable) {
  for (const Case& one : kCases) EXPECT_EQ(PlanSearch(one.facts), one.path) << one.what;
}

}  // namespace
}  // namespace engram::engine
