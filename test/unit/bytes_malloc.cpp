#include "bytes_malloc.h"

#include <cstdlib>

#include "bytes.h"

namespace oasync {
namespace {

int live_blocks = 0;

}  // namespace

int LiveBlocks() { return live_blocks; }

void* Reallocate(void* memory, size_t size) {
  if (memory == nullptr) ++live_blocks;
  void* grown = realloc(memory, size);
  if (grown == nullptr) abort();
  return grown;
}

void Release(void* memory) {
  --live_blocks;
  free(memory);
}

}  // namespace oasync
