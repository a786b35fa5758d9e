#include "finding.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

TEST(Findings, WhatAFanoutSaysCannotCommandATerminal) {
  Findings findings;
  findings.Ok("short", "fine");
  findings.Warning("fanout.health.\x1b]0;owned\x07", "what\x1b[2J", "todo\x1b[2J");
  const std::string text = findings.ToText(Painter(false));
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_EQ(text.find('\x07'), std::string::npos) << text;
  const std::string shown = "fanout.health.\\u001b]0;owned\\u0007";
  EXPECT_NE(text.find(shown + "  what\\u001b[2J\n"), std::string::npos) << text;
  EXPECT_NE(text.find("short" + std::string(shown.size() - 5, ' ') + "  fine\n"), std::string::npos)
      << "columns are as wide as what is shown: " << text;
}

}  // namespace
}  // namespace oasync::terminal
