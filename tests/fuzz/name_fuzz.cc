// Tokens of texts and forms of keys, of any bytes.
#include "cli/names.h"
#include "storage/format/name_format.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

void TryTokens(const std::string& text) {
  std::size_t last = 0;
  for (const storage::NameToken& token : storage::TokensOf(text)) {
    Expect(token.begin >= last && token.begin < token.end && token.end <= text.size(),
           "tokens follow one another in the text");
    Expect(token.folded.size() <= storage::kMaxNameBytes, "a token is bounded");
    for (const char byte : token.folded) {
      Expect(static_cast<unsigned char>(byte) > ' ', "a token holds nothing up to a space");
    }
    last = token.end;
  }
}

void TryForm(const std::string& key) {
  const std::string form = storage::NormalForm(key);
  Expect(form.size() <= storage::kMaxNameBytes + storage::kMaxNameTokens, "a form is bounded");
  Expect(storage::NormalForm(form) == form, "a form is its own form");
  for (const char byte : form) {
    Expect(static_cast<unsigned char>(byte) >= ' ', "a form holds nothing below a space");
  }
}

// Names of the command line.
void TryNames(const std::string& text) {
  for (const auto& names : {cli::ParseNames(text), cli::ParseTypes(text)}) {
    if (!names.ok()) {
      Expect(absl::IsInvalidArgument(names.status()), "what is wrong with names is an argument");
      continue;
    }
    for (const cli::Name& name : *names) {
      Expect(name.number.has_value() || !name.text.empty(), "a name is not empty");
    }
  }
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  engram::fuzz::TryTokens(text);
  engram::fuzz::TryForm(text);
  engram::fuzz::TryNames(text);
  return 0;
}
