// What is done to the body of an answer before it goes out: a strong ETag, If-None-Match, gzip.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace oasync {

// A strong entity tag, quoted: the SHA-256 of the bytes. The compressed form has "-gz" before the closing quote, for
// it is another representation.
std::string StrongETag(std::string_view body);

// The tag of the compressed form.
std::string CompressedTag(std::string_view etag);

// Whether If-None-Match names the tag, in either form. "*" matches everything.
bool ETagMatches(std::string_view if_none_match, std::string_view etag);

// Whether Accept-Encoding allows gzip: named, or "*", with a weight that is not 0.
bool AcceptsGzip(std::string_view accept_encoding);

// Nothing when it does not get smaller. Level 1 is for what is compressed once for each answer: JSON shrinks nearly as
// much as at 6, at a third of the time.
std::optional<std::string> Gzip(std::string_view bytes, int level = 1);

// Sets etag and cache-control, turns the answer into 304 when the client has it, and compresses a body of at least
// `gzip_min_bytes` for who accepts it. Takes time in proportion to the body: about 10 ms a megabyte.
void FinishContent(std::string_view if_none_match, std::string_view accept_encoding, size_t gzip_min_bytes,
                   HttpAnswer* answer);

}  // namespace oasync
