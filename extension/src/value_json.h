// Values as canonical JSON, whatever the session's settings: the same row gives the same bytes in every session.
//
// Booleans and numbers are JSON's own (NaN and the infinities are strings), json and jsonb are embedded in canonical
// form, arrays are arrays, composites are objects, dates and times are ISO 8601 (timestamptz in UTC), bytea is hex
// with \x, types with a cast to json use it, everything else is the text of its output function as a string.
// All output is UTF-8; SQL text in another server encoding is converted.
#pragma once

#include "pg.h"

#include "bytes.h"

namespace oasync {

enum class ValueKind : uint8_t {
  kBool,
  kInt2,
  kInt4,
  kInt8,
  kOid,
  kFloat4,
  kFloat8,
  kNumeric,
  kText,
  kJson,
  kJsonb,
  kDateTime,
  kBytea,
  kArray,
  kComposite,
  kCast,
  kOutput,
};

// How values of one type are written. Made once for a column and kept.
struct ValueWriter {
  Oid type = InvalidOid;  // after looking through domains
  ValueKind kind = ValueKind::kOutput;
  FmgrInfo function = {};  // the output function or the cast to json
  ValueWriter* element = nullptr;
  bool depends_on_settings = false;
};

// Fills a writer for a type; sub-writers live in `context`.
void InitValueWriter(ValueWriter* writer, Oid type, MemoryContext context);

// Appends a value that is not null.
void AppendJsonValue(Bytes& out, ValueWriter* writer, Datum value);

// Appends the value's plain text (for topics and keys), in the server's encoding.
void AppendPlainValue(Bytes& out, ValueWriter* writer, Datum value);

// Appends the canonical form of SQL json text (server's encoding). ERROR 22P02 when it is not JSON.
void AppendCanonicalSqlJson(Bytes& out, const char* text, size_t len);

// Puts the settings that output functions look at to fixed values until EndFixedSettings.
int BeginFixedSettings();
void EndFixedSettings(int nest_level);

// UTF-8 text in the server's encoding: what that encoding lacks becomes a JSON \u escape (JSON text only).
// Returns `utf8` itself when the server's encoding is UTF-8.
std::string_view JsonToServerEncoding(Bytes& scratch, std::string_view utf8);
// The way back, for readers: the canonical UTF-8 bytes of a stored payload.
std::string_view JsonFromServerEncoding(Bytes& scratch, std::string_view stored);

}  // namespace oasync
