#include <charconv>
#include <cstdlib>

#include "canonical_text.h"
#include "parity_earlier.h"

namespace oasync::terminal {
namespace {

class TableLane final : public EarlierLane {
 public:
  TableLane(std::string table, Database* db, std::string schema)
      : table_(std::move(table)), db_(*db), schema_(std::move(schema)) {}

  std::vector<std::string> Sample(const std::string& topic, int64_t seed, int64_t wanted, std::string* error) override {
    const auto result = db_.Query(
        "SELECT k FROM " + schema_ + ".sync_parity_checkpoint_sample($1::regclass, $2, $3::bigint, $4::integer) k",
        {table_, topic, std::to_string(seed), std::to_string(wanted)});
    std::vector<std::string> keys;
    if (!result.ok()) *error = Explain(result);
    for (const DatabaseRow& row : result.rows) {
      if (row[0]) keys.push_back(*row[0]);
    }
    return keys;
  }

  std::map<std::string, EarlierAnswer> Read(const std::string& topic, const std::vector<std::string>& keys,
                                            bool /*again*/, std::string* error) override {
    std::map<std::string, EarlierAnswer> answers;
    const auto result = db_.Query("SELECT doc_key, doc_version, payload, payload_hash, changed_s FROM " + schema_ +
                                      ".sync_parity_checkpoints($1::regclass, $2, "
                                      "ARRAY(SELECT json_array_elements_text($3::json)))",
                                  {table_, topic, JsonTexts(keys)});
    if (!result.ok()) {
      *error = Explain(result);
      return answers;
    }
    for (const std::string& key : keys) answers[key].answered = true;
    for (const DatabaseRow& row : result.rows) {
      if (row[0]) answers[*row[0]] = Take(row);
    }
    return answers;
  }

  std::string HashAt(const std::string& topic, const std::string& key, int64_t version) override {
    const auto result = db_.Query("SELECT doc_key, doc_version, payload, payload_hash, changed_s FROM " + schema_ +
                                      ".sync_parity_checkpoints($1::regclass, $2, "
                                      "ARRAY(SELECT json_array_elements_text($3::json)), ARRAY[$4::bigint])",
                                  {table_, topic, JsonTexts({key}), std::to_string(version)});
    if (!result.ok() || result.rows.empty()) return {};
    return Take(result.rows[0]).state.hash;
  }

 private:
  std::string Explain(const DatabaseResult& result) const {
    std::string text = table_ + ": " + result.error;
    if (result.denied()) text += " (GRANT SELECT ON " + table_ + " to the auditor's role)";
    return text;
  }

  static EarlierAnswer Take(const DatabaseRow& row) {
    EarlierAnswer answer;
    std::optional<std::string> hash;
    if (row[2]) {
      hash = PayloadHash(*row[2]);
    } else if (row[3]) {
      hash = NormalHash(*row[3]);
    } else {
      // A row that keeps the version of what was deleted.
      answer.answered = true;
      return answer;
    }
    if (!hash) {
      answer.error = row[2] ? "its payload is no JSON" : "its payload_hash is no sha256 in hexadecimal or base64";
      return answer;
    }
    answer.answered = true;
    answer.state.exists = true;
    answer.state.hash = *hash;
    int64_t version = 0;
    if (row[1] && std::from_chars(row[1]->data(), row[1]->data() + row[1]->size(), version).ec == std::errc()) {
      answer.state.version = version;
    }
    if (row[4]) answer.state.age_s = std::strtod(row[4]->c_str(), nullptr);
    return answer;
  }

  const std::string table_;
  Database& db_;
  const std::string schema_;
};

}  // namespace

std::unique_ptr<EarlierLane> OpenTableLane(const ParityLane& lane, Database* db, const std::string& schema) {
  return std::make_unique<TableLane>(lane.address, db, schema);
}

}  // namespace oasync::terminal
