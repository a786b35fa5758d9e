// Bytes: a growing byte string for the parts that know nothing of PostgreSQL (canonical JSON, templates, the
// protobuf encoding), so that they are tested without a server.
//
// Memory comes from Reallocate(): repalloc in a backend (owned by the memory context in force when the string
// first grew, freed with it), realloc in unit tests. A Bytes has no destructor on purpose, see pg.h.
// Reallocate never returns null: it raises an ERROR or aborts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace oasync {

void* Reallocate(void* memory, size_t size);
void Release(void* memory);

// A part of a text; unlike substr(), which may throw, it takes the caller's word that the part is inside.
inline std::string_view Part(std::string_view text, size_t from, size_t length) { return {text.data() + from, length}; }

struct Bytes {
  char* data = nullptr;
  size_t len = 0;
  size_t cap = 0;

  std::string_view view() const { return {data, len}; }
  void Clear() { len = 0; }
  void Reserve(size_t more) {
    if (cap - len < more) Grow(more);
  }
  void Append(const void* from, size_t n) {
    if (n == 0) return;
    Reserve(n);
    memcpy(data + len, from, n);
    len += n;
  }
  void Append(std::string_view s) { Append(s.data(), s.size()); }
  void Append(char c) {
    Reserve(1);
    data[len++] = c;
  }
  void Free() {
    if (data != nullptr) Release(data);
    *this = Bytes{};
  }

 private:
  void Grow(size_t more) {
    size_t want = cap == 0 ? 256 : cap * 2;
    while (want - len < more) want *= 2;
    data = static_cast<char*>(Reallocate(data, want));
    cap = want;
  }
};

}  // namespace oasync
