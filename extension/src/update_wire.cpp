#include "update_wire.h"

namespace oasync {
namespace {

constexpr int kWireVarint = 0;
constexpr int kWireLength = 2;

void AppendVarint(Bytes& out, uint64_t value) {
  char text[10];
  size_t n = 0;
  while (value >= 0x80) {
    text[n++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  text[n++] = static_cast<char>(value);
  out.Append(text, n);
}

void AppendNumber(Bytes& out, int field, uint64_t value) {
  if (value == 0) return;
  out.Append(static_cast<char>(field << 3 | kWireVarint));
  AppendVarint(out, value);
}

void AppendString(Bytes& out, int field, std::string_view value) {
  if (value.empty()) return;
  out.Append(static_cast<char>(field << 3 | kWireLength));
  AppendVarint(out, value.size());
  out.Append(value);
}

constexpr std::string_view kOpNames[] = {"", "upsert", "delete", "truncate", "void"};

}  // namespace

std::string_view OpName(Op op) { return kOpNames[static_cast<int>(op)]; }

bool ParseOp(std::string_view name, Op& op) {
  for (int i = 1; i <= 4; ++i) {
    if (name != kOpNames[i]) continue;
    op = static_cast<Op>(i);
    return true;
  }
  return false;
}

void AppendUpdate(Bytes& out, const UpdateFields& fields) {
  AppendString(out, 1, fields.topic);
  AppendString(out, 2, fields.doc_key);
  AppendNumber(out, 3, fields.doc_version);
  AppendString(out, 4, fields.payload);
  AppendNumber(out, 5, fields.watermark);
  AppendString(out, 6, fields.payload_hash);
  AppendNumber(out, 7, fields.hydration_required ? 1 : 0);
  AppendNumber(out, 8, static_cast<uint64_t>(fields.op));
  AppendNumber(out, 9, fields.epoch);
  AppendNumber(out, 10, static_cast<uint64_t>(fields.inserted_at_us));
  AppendNumber(out, 11, static_cast<uint64_t>(fields.commit_time_us));
  AppendString(out, 12, fields.traceparent);
}

}  // namespace oasync
