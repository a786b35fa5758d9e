// Findings: what `oa-sync doctor` sees, one for each thing it looked at. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "terminal.h"

namespace oasync::terminal {

enum class Verdict : uint8_t { kOk, kWarning, kProblem, kSkipped };

struct Finding {
  std::string check;  // "database.wal_level"
  Verdict verdict = Verdict::kOk;
  std::string what;  // what is so
  std::string todo;  // what to do; empty when nothing is
};

class Findings {
 public:
  void Ok(const std::string& check, const std::string& what) { Add(Verdict::kOk, check, what, {}); }
  void Warning(const std::string& check, const std::string& what, const std::string& todo) {
    Add(Verdict::kWarning, check, what, todo);
  }
  void Problem(const std::string& check, const std::string& what, const std::string& todo) {
    Add(Verdict::kProblem, check, what, todo);
  }
  // Could not be looked at; not a problem by itself.
  void Skipped(const std::string& check, const std::string& what, const std::string& todo) {
    Add(Verdict::kSkipped, check, what, todo);
  }

  const std::vector<Finding>& all() const { return all_; }
  size_t Count(Verdict verdict) const;

  nlohmann::json ToJson() const;
  std::string ToText(const Painter& paint) const;

 private:
  void Add(Verdict verdict, const std::string& check, const std::string& what, const std::string& todo) {
    all_.push_back({check, verdict, what, todo});
  }

  std::vector<Finding> all_;
};

}  // namespace oasync::terminal
