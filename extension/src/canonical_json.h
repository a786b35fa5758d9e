// Canonical JSON: one text for one value, so that equal documents have equal hashes everywhere.
//
// Object keys are sorted by code point (the last of equal keys wins), there is no white space, strings carry only
// the escapes that JSON demands (\" \\ \b \t \n \f \r, \u00xx for other control characters, \udxxx for a surrogate
// without its twin), everything else is literal UTF-8. Numbers keep their text: nothing is rounded.
// Test vectors: test/vectors/canonical_json.json.
//
// Knows nothing of PostgreSQL. All text is UTF-8.
#pragma once

#include <string_view>

#include "bytes.h"

namespace oasync {

// Appends `text` as a JSON string with its quotes.
void AppendJsonString(Bytes& out, std::string_view text);

enum class JsonStatus { kOk, kInvalid, kTooDeep };

// The deepest nesting that is taken; deeper input is kTooDeep.
constexpr int kMaxJsonDepth = 1000;

// Appends the canonical form of the JSON value in `text`. On failure `out` is as it was.
JsonStatus AppendCanonicalJson(Bytes& out, std::string_view text);

// One member of an object whose text was already appended to a Bytes: `"key":value`, canonical.
struct JsonMember {
  size_t offset;     // of the opening quote of the key
  uint32_t key_len;  // of the key with its quotes
  size_t len;        // of the whole member
};

// Compares two canonical strings (with their quotes) by the code points that they stand for.
int CompareCanonicalKeys(std::string_view a, std::string_view b);

}  // namespace oasync
