#include "escape.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

TEST(Escape, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(EscapeForTerminal("plain \"text\" {1}"), "plain \"text\" {1}");
  EXPECT_EQ(EscapeForTerminal("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
  EXPECT_EQ(EscapeForTerminal(""), "");
}

TEST(Escape, WhatATerminalObeysIsShownInstead) {
  EXPECT_EQ(EscapeForTerminal("\x1b[2J"), "\\u001b[2J");
  EXPECT_EQ(EscapeForTerminal("a\nb\r\t\b"), "a\\u000ab\\u000d\\u0009\\u0008");
  EXPECT_EQ(EscapeForTerminal(std::string("a\0b", 3)), "a\\u0000b");
  EXPECT_EQ(EscapeForTerminal("\x7f"), "\\u007f");
  EXPECT_EQ(EscapeForTerminal("\xc2\x9b"), "\\u009b") << "CSI in one character";
}

TEST(Escape, TextDoesNotTurnItsDirection) {
  EXPECT_EQ(EscapeForTerminal("\xe2\x80\xae"), "\\u202e");
  EXPECT_EQ(EscapeForTerminal("\xe2\x81\xa6"), "\\u2066");
  EXPECT_EQ(EscapeForTerminal("\xe2\x80\xa8"), "\\u2028");
}

TEST(Escape, BytesThatAreNoUtf8AreShownAsBytes) {
  EXPECT_EQ(EscapeForTerminal("\xff"), "\\xff");
  EXPECT_EQ(EscapeForTerminal("\x9b"), "\\x9b") << "CSI in one byte";
  EXPECT_EQ(EscapeForTerminal("a\xe4"), "a\\xe4") << "cut in the middle of a character";
  EXPECT_EQ(EscapeForTerminal("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(EscapeForTerminal("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
}

}  // namespace
}  // namespace oasync::terminal
