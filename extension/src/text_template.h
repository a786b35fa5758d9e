// Templates over columns: `run:{run_id}:events`.
//
// `{name}` stands for the text of a column, `{{` and `}}` for a brace. Knows nothing of PostgreSQL; views point
// into the parsed text, which the caller keeps.
#pragma once

#include <string_view>

#include "bytes.h"

namespace oasync {

struct TemplatePart {
  bool is_column;
  std::string_view text;  // the literal (braces still doubled) or the column's name
};

constexpr int kMaxTemplateParts = 32;

struct TextTemplate {
  int count = 0;
  TemplatePart parts[kMaxTemplateParts] = {};
};

// Parses `text` into `out`. Returns null, or what is wrong (a constant, for an error's detail).
const char* ParseTemplate(std::string_view text, TextTemplate& out);

// Appends a literal part with `{{` and `}}` made single again.
void AppendLiteral(Bytes& out, std::string_view literal);

constexpr size_t kMaxTopicBytes = 160;
constexpr size_t kMaxDocKeyBytes = 1024;

// A topic is 1 to 160 bytes of [A-Za-z0-9_.:/-].
bool IsValidTopic(std::string_view topic);

// Topics that begin so are OA Sync's own: fan-outs believe what comes by them, so nobody else may write to them.
constexpr std::string_view kOwnTopics = "oa_sync.";
inline bool IsOwnTopic(std::string_view topic) { return topic.substr(0, kOwnTopics.size()) == kOwnTopics; }

}  // namespace oasync
