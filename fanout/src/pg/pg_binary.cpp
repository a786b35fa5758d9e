#include "pg_binary.h"

namespace oasync::pg {

namespace {

constexpr int32_t kInt8Oid = 20;
constexpr int32_t kTextOid = 25;

void AppendBigEndian(std::string& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

void AppendInt4(std::string& out, int32_t value) { AppendBigEndian(out, static_cast<uint32_t>(value), 4); }

// Header of a one-dimensional array without nulls.
std::string ArrayHeader(int32_t element_type, size_t count) {
  std::string out;
  AppendInt4(out, count == 0 ? 0 : 1);  // dimensions
  AppendInt4(out, 0);                   // no nulls
  AppendInt4(out, element_type);
  if (count == 0) return out;
  AppendInt4(out, static_cast<int32_t>(count));
  AppendInt4(out, 1);  // lower bound
  return out;
}

}  // namespace

std::string BinaryInt4(int32_t value) {
  std::string out;
  AppendInt4(out, value);
  return out;
}

std::string BinaryInt8(int64_t value) {
  std::string out;
  AppendBigEndian(out, static_cast<uint64_t>(value), 8);
  return out;
}

std::string BinaryBool(bool value) { return std::string(1, value ? '\1' : '\0'); }

std::string BinaryTextArray(const std::vector<std::string>& values) {
  std::string out = ArrayHeader(kTextOid, values.size());
  for (const auto& value : values) {
    AppendInt4(out, static_cast<int32_t>(value.size()));
    out += value;
  }
  return out;
}

std::string BinaryInt8Array(const std::vector<int64_t>& values) {
  std::string out = ArrayHeader(kInt8Oid, values.size());
  for (const int64_t value : values) {
    AppendInt4(out, 8);
    AppendBigEndian(out, static_cast<uint64_t>(value), 8);
  }
  return out;
}

std::optional<int64_t> ParseBinaryInt(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  switch (bytes.size()) {
    case 8:
      return static_cast<int64_t>(value);
    case 4:
      return static_cast<int32_t>(static_cast<uint32_t>(value));
    case 2:
      return static_cast<int16_t>(static_cast<uint16_t>(value));
    default:
      return std::nullopt;
  }
}

std::string_view Field(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column) != 0) return {};
  return {PQgetvalue(result, row, column), static_cast<size_t>(PQgetlength(result, row, column))};
}

std::optional<uint64_t> UnsignedField(const PGresult* result, int row, int column) {
  const auto value = ParseBinaryInt(Field(result, row, column));
  if (!value || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

}  // namespace oasync::pg
