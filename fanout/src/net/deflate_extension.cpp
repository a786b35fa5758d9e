#include "net/deflate_extension.h"

#include <libwebsockets.h>

#include <cstring>
#include <string_view>

namespace oasync {
namespace {

constexpr char kName[] = "permessage-deflate";
constexpr std::string_view kWritten = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
constexpr std::string_view kParameters = "; server_no_context_takeover; client_no_context_takeover\r\n";

// Options that libwebsockets would look for in the client's offer, and repeat: none.
const lws_ext_options kNoOptions[] = {{nullptr, EXTARG_NONE}};

int OnExtension(lws_context*, const lws_extension*, lws*, lws_extension_callback_reasons reason, void*, void* in,
                size_t) {
  if (reason == LWS_EXT_CB_CONSTRUCT && in != nullptr) *static_cast<const lws_ext_options**>(in) = kNoOptions;
  return 0;  // to everything else: nothing was done to the bytes
}

const lws_extension kExtensions[] = {{kName, OnExtension, kName}, {nullptr, nullptr, nullptr}};

}  // namespace

const lws_extension* DeflateExtension() { return kExtensions; }

bool AddDeflateParameters(lws_process_html_args* headers) {
  // `p` is behind the last header written so far, which is ours (libwebsockets 4.1.6, handshake_0405).
  const char* end = headers->p;
  if (std::string_view(end - kWritten.size(), kWritten.size()) != kWritten) return false;
  if (headers->max_len < static_cast<int>(kParameters.size()) + 64) return false;  // what libwebsockets still adds
  char* at = headers->p - 2;                                                       // before the line's end
  std::memcpy(at, kParameters.data(), kParameters.size());
  headers->p = at + kParameters.size();
  return true;
}

}  // namespace oasync
