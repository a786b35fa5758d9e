// A client that checks what it gets.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "wire/phoenix.h"

namespace oasync {

// Checks batches as a strict client does: each interval begins where the last one ended.
struct Follower {
  uint64_t cursor = 0;
  std::vector<uint64_t> watermarks;
  bool complete = false;

  void Take(const std::vector<Json>& messages, const std::string& topic = "t") {
    for (const Json& message : messages) {
      if (message[3] != "sync:update_batch") continue;
      const Json& batch = message[4];
      if (batch["updates"][0]["topic"] != topic) continue;
      EXPECT_FALSE(batch["updates"].empty());
      EXPECT_EQ(batch["after_watermark"], cursor);
      for (const Json& update : batch["updates"]) {
        EXPECT_GT(update["watermark"].get<uint64_t>(), cursor);
        cursor = update["watermark"];
        watermarks.push_back(cursor);
      }
      EXPECT_GE(batch["through_watermark"].get<uint64_t>(), cursor);
      cursor = batch["through_watermark"];
      complete = batch["replay_complete"];
    }
  }
};

inline Json Topics(const std::vector<std::string>& topics) { return {{"topics", topics}}; }

}  // namespace oasync
