// Settings: where they come from and which are refused.
#include "config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace oasync {
namespace {

ConfigResult Read(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "oa-sync-fanout");
  return ReadConfig(static_cast<int>(arguments.size()), arguments.data());
}

ConfigResult ReadWith(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"--database", "dbname=x", "--jwt-keyring", "k.json"});
  return Read(std::move(arguments));
}

TEST(Config, Defaults) {
  const auto result = ReadWith({});
  ASSERT_TRUE(result.config) << result.message;
  EXPECT_EQ(result.config->listen_host, "127.0.0.1");
  EXPECT_EQ(result.config->listen_port, 4400);
  EXPECT_EQ(result.config->hub.batch.max_events, 200u);
  EXPECT_EQ(result.config->hub.session.heartbeat_interval_ms, 15000);
  EXPECT_TRUE(result.config->tail_auto);
  EXPECT_FALSE(result.config->log_json);
  EXPECT_FALSE(result.config->hub.gate.enabled);
}

TEST(Config, CompatibilityGate) {
  const auto result = ReadWith({"--compatibility-gate", "on", "--protocol-version", "v2,v1", "--max-schema-version",
                                "3", "--min-client-build-id", "20260101T000000Z"});
  ASSERT_TRUE(result.config) << result.message;
  const CompatibilityGate& gate = result.config->hub.gate;
  EXPECT_TRUE(gate.enabled);
  EXPECT_EQ(gate.protocol_versions, (std::vector<std::string>{"v2", "v1"}));
  EXPECT_EQ(gate.min_schema_version, 1u);
  EXPECT_EQ(gate.max_schema_version, 3u);
  EXPECT_EQ(gate.min_client_build_id, "20260101T000000Z");
  EXPECT_EQ(gate.max_client_build_id, "");
}

TEST(Config, Values) {
  const auto result = ReadWith({"--listen", "[::1]:0", "--max-batch-events", "10", "--allowed-origin", "HTTPS://A/",
                                "--allowed-origin", "http://b", "--tail", "journal", "--log-format", "json"});
  ASSERT_TRUE(result.config) << result.message;
  EXPECT_EQ(result.config->listen_host, "::1");
  EXPECT_EQ(result.config->listen_port, 0);
  EXPECT_EQ(result.config->hub.batch.max_events, 10u);
  EXPECT_EQ(result.config->allowed_origins, (std::vector<std::string>{"https://a", "http://b"}));
  EXPECT_FALSE(result.config->tail_auto);
  EXPECT_TRUE(result.config->log_json);
}

TEST(Config, BadOnesAreOneLineAndExitCodeTwo) {
  for (const std::vector<const char*>& bad : std::vector<std::vector<const char*>>{
           {"--listen", "nowhere"},
           {"--listen", "host:99999"},
           {"--listen", "host:"},
           {"--loops", "0"},
           {"--loops", "x"},
           {"--no-such-flag"},
           {"--tail", "slot"},
           {"--log-level", "loud"},
           {"--max-batch-bytes", "8192"},
           {"--reconnect-min-ms", "5000"},
           {"--compatibility-gate", "maybe"},
           {"--min-client-build-id", "2026"},
           {"--max-client-build-id", "today"},
           {"--min-client-build-id", "20260102T000000Z", "--max-client-build-id", "20260101T000000Z"},
           {"--min-schema-version", "2"},
           {"--config", "/nonexistent.toml"},
           {"positional"},
       }) {
    const auto result = ReadWith(bad);
    EXPECT_FALSE(result.config) << bad[0];
    EXPECT_EQ(result.exit_code, 2) << bad[0];
    EXPECT_FALSE(result.message.empty()) << bad[0];
    EXPECT_EQ(result.message.find('\n'), std::string::npos) << result.message;
  }
  EXPECT_EQ(Read({}).exit_code, 2);
  EXPECT_EQ(Read({"--database", "dbname=x"}).exit_code, 2);
}

TEST(Config, ErrorsNameTheSettingNotItsValue) {
  for (const std::vector<const char*>& bad : std::vector<std::vector<const char*>>{
           {"--databse=postgres://u:secret@h/d"},
           {"--databse", "postgres://u:secret@h/d"},
           {"--loops", "secret"},
           {"--tail=secret"},
           {"--log-level", "secret"},
           {"--listen", "secret"},
       }) {
    const auto result = ReadWith(bad);
    const std::string name = std::string(bad[0]).substr(0, std::string(bad[0]).find('='));
    EXPECT_EQ(result.exit_code, 2) << name;
    EXPECT_NE(result.message.find(name), std::string::npos) << result.message;
    EXPECT_EQ(result.message.find("secret"), std::string::npos) << result.message;
  }
  EXPECT_EQ(ReadWith({"secret"}).message.find("secret"), std::string::npos);
}

TEST(Config, HelpAndVersion) {
  const auto help = Read({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* flag :
       {"--database", "--listen", "--jwt-keyring", "--window-bytes", "--token-grace-ms", "--log-format"}) {
    EXPECT_NE(help.message.find(flag), std::string::npos) << flag;
  }
  EXPECT_EQ(Read({"--version"}).message, std::string("oa-sync-fanout ") + OA_SYNC_VERSION + "\n");
}

TEST(Config, Environment) {
  setenv("OA_SYNC_MAX_BATCH_EVENTS", "33", 1);
  const auto from_environment = ReadWith({});
  const auto from_command_line = ReadWith({"--max-batch-events", "44"});
  setenv("OA_SYNC_MAX_BATCH_EVENTS", "many", 1);
  const auto bad = ReadWith({});
  unsetenv("OA_SYNC_MAX_BATCH_EVENTS");
  EXPECT_EQ(from_environment.config->hub.batch.max_events, 33u);
  EXPECT_EQ(from_command_line.config->hub.batch.max_events, 44u);
  EXPECT_EQ(bad.exit_code, 2);
}

TEST(Config, File) {
  const std::string path = testing::TempDir() + "oa_sync_config_test." + std::to_string(getpid()) + ".toml";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("max-batch-events = 55\nallowed-origin = [\"http://a\", \"http://b\"]\n", file);
  std::fclose(file);
  const auto result = ReadWith({"--config", path.c_str()});
  ASSERT_TRUE(result.config) << result.message;
  EXPECT_EQ(result.config->hub.batch.max_events, 55u);
  EXPECT_EQ(result.config->allowed_origins.size(), 2u);
  file = std::fopen(path.c_str(), "w");
  std::fputs("max-batch-evnets = 55\n", file);
  std::fclose(file);
  EXPECT_EQ(ReadWith({"--config", path.c_str()}).exit_code, 2);
  std::remove(path.c_str());
}

TEST(Config, PrintsSettingsWithoutTheRequiredOnes) {
  const auto json = Read({"--print-settings=json", "--database=hush"});
  EXPECT_EQ(json.exit_code, 0);
  const auto list = nlohmann::json::parse(json.message);
  for (const auto& one : list) EXPECT_FALSE(one["meaning"].get<std::string>().empty()) << one["name"];
  EXPECT_EQ(json.message.find("hush"), std::string::npos);
  const auto markdown = Read({"--print-settings", "markdown"});
  EXPECT_NE(markdown.message.find("| `--max-frame-bytes` | 65536 | 256 to 16777216 | restart |"), std::string::npos);
  EXPECT_EQ(Read({"--print-settings", "xml"}).exit_code, 2);
}

TEST(Config, KnowsWhatIsInEffect) {
  const auto result = ReadWith({"--max-batch-events", "10", "--loops", "3"});
  ASSERT_TRUE(result.config) << result.message;
  EXPECT_EQ(ChangedSettings(result.config->settings),
            "--loops 3, --database set, --jwt-keyring k.json, --max-batch-events 10");
  const auto loops = std::find_if(result.config->settings.begin(), result.config->settings.end(),
                                  [](const Setting& setting) { return setting.name == "--loops"; });
  EXPECT_EQ(loops->value, std::to_string(result.config->loops));
}

}  // namespace
}  // namespace oasync
