// Page tokens of snapshots: all that the next page has to know, so that no server keeps anything for it.
//
// base64url (no padding) of a version byte, a checksum, and the fields below. The checksum finds damage, not intent:
// a token comes from a client and may say anything, so whoever uses one checks each field (what is read here is only
// well formed). Knows nothing of PostgreSQL.
#pragma once

#include <string_view>

#include "bytes.h"

namespace oasync {

// Where the documents of a page come from.
enum class DocumentSource : uint8_t { kPublication = 1, kNamed = 2, kJournal = 3 };

constexpr int kMaxPositionValues = 32;
constexpr size_t kMaxTokenBytes = 64 * 1024;  // as text

struct SnapshotToken {
  std::string_view topic;
  uint64_t epoch = 0;  // the cursor that the first page gave
  uint64_t watermark = 0;
  DocumentSource source = DocumentSource::kPublication;
  int32_t publication_id = INT32_MIN;  // unless the source is a publication: before all of them
  int64_t published_at = 0;            // of that publication, so that a token does not outlive what it is about
  bool by_key = false;                 // the position is a doc_key, not the values of the table's key
  int position_count = 0;              // 0: the source begins
  std::string_view position[kMaxPositionValues] = {};  // the last document given
};

// Appends the token as text. Returns false, and appends nothing, when it would be longer than kMaxTokenBytes.
bool AppendToken(Bytes& out, const SnapshotToken& token);

// Reads a token; the views in `token` point into `scratch`. Returns null, or what is wrong (a constant).
const char* ParseToken(std::string_view text, Bytes& scratch, SnapshotToken& token);

// base64url without padding. Decode returns false for anything that Encode would not have written.
void AppendBase64Url(Bytes& out, std::string_view bytes);
bool DecodeBase64Url(Bytes& out, std::string_view text);

}  // namespace oasync
