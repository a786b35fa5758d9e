#include "conninfo.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace oasync::pg {

namespace {

struct OptionsFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, OptionsFree>;

// Lists are matched by position, so they rotate together; a single entry serves every host and stays.
bool IsHostList(std::string_view keyword) { return keyword == "host" || keyword == "hostaddr" || keyword == "port"; }

std::string Rotated(std::string list, unsigned times) {
  const auto entries = static_cast<unsigned>(std::count(list.begin(), list.end(), ',')) + 1;
  for (unsigned n = times % entries; n > 0; --n) {
    const size_t comma = list.find(',');
    list = list.substr(comma + 1) + "," + list.substr(0, comma);
  }
  return list;
}

}  // namespace

Conninfo Conninfo::Parse(const std::string& text, std::string* error) {
  Conninfo info;
  error->clear();
  char* message = nullptr;
  const Options options(PQconninfoParse(text.c_str(), &message));
  if (options == nullptr) {
    // libpq's message may quote a part of the string, and that part may be the password.
    PQfreemem(message);
    *error = "the database connection string is not valid (expected \"host=… dbname=…\" or \"postgresql://…\")";
    // Something that libpq refuses, so that no default database is met by mistake.
    info.given_.emplace_back("sslmode", "invalid");
    return info;
  }
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) info.given_.emplace_back(option->keyword, option->val);
  }
  if (const std::string* timeout = info.Find("connect_timeout")) {
    // As in libpq: zero or less is no limit, which here is a long one; one second is too short to be meant.
    const int seconds = std::atoi(timeout->c_str());
    info.connect_timeout_ms_ = seconds <= 0 ? 60'000 : std::clamp(seconds, 2, 3600) * 1000;
  }
  return info;
}

std::string* Conninfo::Find(const std::string& keyword) {
  for (auto& [key, value] : given_) {
    if (key == keyword) return &value;
  }
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> Conninfo::Parameters(const std::string& application_name,
                                                                      bool replication) const {
  // A later keyword wins over an earlier one in libpq.
  std::vector<std::pair<std::string, std::string>> all = {
      {"application_name", application_name}, {"keepalives", "1"},       {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},           {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"},
  };
  rotations_used_ = rotations_->load(std::memory_order_relaxed);
  for (const auto& [keyword, value] : given_) {
    all.emplace_back(keyword, IsHostList(keyword) ? Rotated(value, rotations_used_) : value);
  }
  all.emplace_back("client_encoding", "UTF8");
  if (replication) all.emplace_back("replication", "database");
  return all;
}

void Conninfo::RotateHosts() {
  // Whoever waited for the same host meanwhile must not bring it back to the front.
  unsigned expected = rotations_used_;
  rotations_->compare_exchange_strong(expected, expected + 1, std::memory_order_relaxed);
}

}  // namespace oasync::pg
