// Bytes in a backend: memory contexts own the memory.
#include "pg.h"

#include "bytes.h"

namespace oasync {

void* Reallocate(void* memory, size_t size) {
  if (memory == nullptr) return MemoryContextAllocHuge(CurrentMemoryContext, size);
  return repalloc_huge(memory, size);
}

void Release(void* memory) { pfree(memory); }

}  // namespace oasync
