// StatusView: what is known of a fan-out at one moment, and how it is shown. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "terminal.h"

namespace oasync::terminal {

// One look at a fan-out. What was not asked for, or did not answer, is null.
struct StatusLook {
  int64_t at_us = 0;
  std::string server;  // who was asked
  bool reachable = false;
  bool ready = false;
  std::string reason;       // why not ready, or not reachable
  nlohmann::json overview;  // of GET /api/admin/overview
  nlohmann::json heads;     // the list of GET /api/sync/heads
  std::string heads_error;

  nlohmann::json ToJson() const;
};

// Lines of text. `before`, the look before this one, makes rates of counters; null for none.
std::string ShowStatus(const StatusLook& look, const StatusLook* before, const Painter& paint);

// One line, for looks that are appended to each other.
std::string ShowStatusLine(const StatusLook& look, const StatusLook* before);

}  // namespace oasync::terminal
