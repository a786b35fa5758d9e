// Makes libwebsockets 4.1 accept Phoenix 1.8's way of sending the token.
//
// phoenix.js 1.8 offers two subprotocols: `phoenix`, and one that holds the token and is longer than the 128 bytes that
// lws_process_ws_upgrade() copies the list into; it refuses the connection ("protocol list too long"). Within the
// library that copy goes through the exported lws_hdr_copy(), so the executable's own definition below comes first. It
// answers as the library does, except that a list that offers `phoenix` reads as just that.
#include <dlfcn.h>
#include <libwebsockets.h>

#include <cstring>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kPhoenix = "phoenix";

bool OffersPhoenix(lws* wsi, int length) {
  std::string fragment(static_cast<size_t>(length) + 1, '\0');
  for (int i = 0;; ++i) {
    const int size =
        lws_hdr_copy_fragment(wsi, fragment.data(), static_cast<int>(fragment.size()), WSI_TOKEN_PROTOCOL, i);
    if (size < 0) return false;
    std::string_view list(fragment.data(), static_cast<size_t>(size));
    while (!list.empty()) {
      const size_t comma = list.find(',');
      std::string_view name = list.substr(0, comma);
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
      const size_t first = name.find_first_not_of(' ');
      if (first == std::string_view::npos) continue;
      name = name.substr(first, name.find_last_not_of(' ') - first + 1);
      if (name == kPhoenix) return true;
    }
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int lws_hdr_copy(lws* wsi, char* dest, int len, lws_token_indexes h) {
  using Copy = int (*)(lws*, char*, int, lws_token_indexes);
  static const auto library_copy = reinterpret_cast<Copy>(dlsym(RTLD_NEXT, "lws_hdr_copy"));
  if (h == WSI_TOKEN_PROTOCOL && len > static_cast<int>(kPhoenix.size())) {
    const int length = lws_hdr_total_length(wsi, h);
    if (length > 0 && OffersPhoenix(wsi, length)) {
      std::memcpy(dest, kPhoenix.data(), kPhoenix.size());
      dest[kPhoenix.size()] = '\0';
      return static_cast<int>(kPhoenix.size());
    }
  }
  return library_copy(wsi, dest, len, h);
}
