#include "command_line.h"

#include <gtest/gtest.h>

#include "completion.h"
#include "manual.h"

namespace oasync::terminal {
namespace {

CommandLineResult Read(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "oa-sync");
  return ReadCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

void ExpectUsageError(std::vector<const char*> arguments, const char* part) {
  const auto result = Read(std::move(arguments));
  EXPECT_FALSE(result.options);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.message.find(part), std::string::npos) << result.message;
}

TEST(CommandLine, Tail) {
  const auto result = Read({"tail", "--url", "ws://h:1/socket", "--key", "a*", "--key", "b", "--op", "upsert,delete",
                            "--field", "a=1", "t1", "t2", "--no-follow", "-n", "5", "--color", "never"});
  ASSERT_TRUE(result.options) << result.message;
  const TailOptions& tail = result.options->tail;
  EXPECT_EQ(result.options->command, Command::kTail);
  EXPECT_EQ(tail.topics, (std::vector<std::string>{"t1", "t2"}));
  EXPECT_EQ(tail.filter.keys.size(), 2u);
  EXPECT_EQ(tail.filter.ops.size(), 2u);
  EXPECT_EQ(tail.filter.fields.size(), 1u);
  EXPECT_FALSE(tail.follow);
  EXPECT_EQ(tail.count, 5u);
  EXPECT_EQ(tail.server.endpoint.host, "h");
  EXPECT_EQ(tail.server.token.claims.scopes, tail.topics) << "a minted token opens what is followed, and no more";
  EXPECT_EQ(result.options->common.colour, ColourMode::kNever);
}

TEST(CommandLine, WhereTailBegins) {
  EXPECT_EQ(Read({"tail", "t"}).options->tail.start.kind, Since::Kind::kNow);
  EXPECT_EQ(Read({"tail", "t", "--no-follow"}).options->tail.start.kind, Since::Kind::kBeginning);
  EXPECT_EQ(Read({"tail", "t", "--cursor", "f"}).options->tail.start.kind, Since::Kind::kBeginning);
  EXPECT_EQ(Read({"tail", "t", "--cursor", "f", "--since", "now"}).options->tail.start.kind, Since::Kind::kNow);
}

TEST(CommandLine, RefusesTokensAndSaysWhereTheyBelong) {
  ExpectUsageError({"tail", "--token", "abc", "t"}, "--token-file");
  ExpectUsageError({"tail", "--url", "ws://h/socket?token=abc", "t"}, "--token-file");
  EXPECT_EQ(Read({"tail", "--token", "secret", "t"}).message.find("secret"), std::string::npos);
}

TEST(CommandLine, SaysWhatIsWrong) {
  ExpectUsageError({}, "subcommand");
  ExpectUsageError({"tail"}, "topics");
  ExpectUsageError({"tail", "t", "--since", "yesterday"}, "--since");
  ExpectUsageError({"tail", "t", "--field", "x"}, "--field");
  ExpectUsageError({"tail", "t", "--op", "insert"}, "--op");
  ExpectUsageError({"tail", "t", "--url", "h:1"}, "--url");
  ExpectUsageError({"tail", "t", "--token-file", "a", "--keyring", "b"}, "one of");
  ExpectUsageError({"token", "--keyring", "k"}, "--scope");
  ExpectUsageError({"doctor"}, "--database");
  ExpectUsageError({"bench"}, "TOPIC");
  ExpectUsageError({"bench", "t", "--url", "wss://h"}, "ws://");
  ExpectUsageError({"completion", "tcsh"}, "tcsh");
  ExpectUsageError({"nonsense"}, "nonsense");
}

TEST(CommandLine, HelpAndVersion) {
  EXPECT_EQ(Read({"--version"}).exit_code, 0);
  EXPECT_EQ(Read({"--version"}).message, std::string("oa-sync ") + OA_SYNC_VERSION + "\n");
  const auto help = Read({"tail", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.message.find("--resync"), std::string::npos);
  EXPECT_EQ(help.message.find("--token "), std::string::npos) << "what is refused is not offered";
}

// Every option that --help shows is in the manual and in every completion.
TEST(CommandLine, ManualAndCompletionsHaveEveryOption) {
  Options options;
  const auto app = DefineCommandLine(&options);
  const std::string manual = MakeManual(*app);
  const CLI::App& whole = *app;
  std::vector<const CLI::App*> apps = whole.get_subcommands([](const CLI::App*) { return true; });
  EXPECT_GE(apps.size(), 8u);
  apps.push_back(app.get());
  for (const CLI::App* command : apps) {
    for (const CLI::Option* option : command->get_options()) {
      if (!IsShown(*option)) continue;
      for (const std::string& name : option->get_lnames()) {
        EXPECT_NE(manual.find("Fl -" + name), std::string::npos) << name;
        for (const char* shell : {"bash", "zsh"}) {
          EXPECT_NE(MakeCompletion(*app, shell).find("--" + name), std::string::npos) << shell << " " << name;
        }
        EXPECT_NE(MakeCompletion(*app, "fish").find("-l " + name + " "), std::string::npos) << name;
      }
    }
  }
}

}  // namespace
}  // namespace oasync::terminal
