// TokenSource: where tokens come from, again and again: a file, the environment, a keyring, or a fan-out that makes one
// for a service key. Never the command line, which every user of the machine can read.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "exit_code.h"
#include "http_client.h"

namespace oasync::terminal {

// What goes into a token that is minted or asked for.
struct TokenClaims {
  std::vector<std::string> scopes;
  std::string subject = "oa-sync";
  std::string user_id;
  std::string org_id;
  std::string session_id;
  std::string device_id;
  std::string issuer = "openagents";
  std::string audience = "oa-sync";
  int64_t ttl_s = 300;
};

struct TokenOptions {
  std::string token_file;
  std::string keyring_file;
  std::string key_file;  // of a service key
  TokenClaims claims;

  // How many of the files are named.
  int sources() const { return !token_file.empty() + !keyring_file.empty() + !key_file.empty(); }
};

struct TokenResult {
  std::string token;           // empty when there is none
  std::string error;           // why
  int exit_code = kExitUsage;  // without a token: kExitRefused by a server, others of a server, else the fault is here
  nlohmann::json about;        // what the server said of it, or the like
};

class TokenSource {
 public:
  // `http` is asked when a service key is to be turned into a token.
  TokenSource(TokenOptions options, HttpClient http) : options_(std::move(options)), http_(std::move(http)) {}

  // A token of this moment.
  TokenResult Get() const;
  // Whether another call can bring a newer token.
  bool renews() const { return options_.sources() > 0; }
  // One that the fan-out makes for the service key of --key-file, or of the environment.
  TokenResult Ask() const;

 private:
  TokenResult FromFile() const;
  TokenResult Mint() const;

  const TokenOptions options_;
  const HttpClient http_;
};

// The service key of a file, or of OA_SYNC_SERVICE_KEY when none is named; empty and *error without one.
std::string ReadServiceKey(const std::string& file, std::string* error);

// Unix time at which the token ends, as it says itself; nothing when it does not. Nothing is verified here.
std::optional<int64_t> TokenExpiry(const std::string& token);

// Whether the text can stand in a header: printable, without white space, at most 16 kB.
bool IsHeaderSafe(const std::string& text);

}  // namespace oasync::terminal
