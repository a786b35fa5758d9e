// permessage-deflate, as far as libwebsockets has to know of it: it negotiates, and lets frames with RSV1 through.
//
// Its own extension is not used: it keeps windows of zlib's for each connection and compresses for each connection
// again. Ours does nothing; messages are inflated and frames compressed in wire/deflate.
#pragma once

struct lws_extension;
struct lws_process_html_args;

namespace oasync {

// For lws_context_creation_info.
const lws_extension* DeflateExtension();

// In LWS_CALLBACK_ADD_HEADERS of an upgrade that is granted the extension: adds the parameters to the header that
// libwebsockets has just written, which has none. False when that header is not where it is expected to be, or there is
// no room: the upgrade must fail then, for the client would take every message for one that builds on those before.
bool AddDeflateParameters(lws_process_html_args* headers);

}  // namespace oasync
