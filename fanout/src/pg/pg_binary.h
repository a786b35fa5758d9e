// PostgreSQL's binary formats, as far as the journal's queries need them: int2/4/8, text[], int8[], bytea.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oasync::pg {

std::string BinaryInt4(int32_t value);
std::string BinaryInt8(int64_t value);
std::string BinaryBool(bool value);
std::string BinaryTextArray(const std::vector<std::string>& values);
std::string BinaryInt8Array(const std::vector<int64_t>& values);

// Big-endian integer of 8, 4 or 2 bytes; nullopt for any other length.
std::optional<int64_t> ParseBinaryInt(std::string_view bytes);

// A result's field: null is empty. The view lives as long as the result.
std::string_view Field(const PGresult* result, int row, int column);

// An integer field that must not be null or negative; nullopt otherwise.
std::optional<uint64_t> UnsignedField(const PGresult* result, int row, int column);

}  // namespace oasync::pg
