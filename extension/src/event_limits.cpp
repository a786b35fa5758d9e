#include "event_limits.h"

#include "policy.h"
#include "rate_limit.h"
#include "settings.h"

namespace oasync {
namespace {

int Length(std::string_view text) { return static_cast<int>(text.size()); }

void CheckSetting(std::string_view doc_key, size_t size) {
  if (likely(size <= static_cast<size_t>(max_payload_kb) * 1024)) return;
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("the payload of document \"%.*s\" has %zu bytes", Length(doc_key), doc_key.data(), size),
                  errdetail("oa_sync.max_payload is %d kB.", max_payload_kb),
                  errhint("Publish fewer columns, or raise oa_sync.max_payload.")));
}

[[noreturn]] void RaiseTooLarge(std::string_view topic, std::string_view doc_key, size_t size, int64 limit) {
  const char* pattern = DecidingPattern(topic, PolicySetting::kMaxPayload);
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("the payload of document \"%.*s\" has %zu bytes", Length(doc_key), doc_key.data(), size),
                  errdetail("max_payload is %lld bytes on topic \"%.*s\", by the policy of \"%s\".",
                            static_cast<long long>(limit), Length(topic), topic.data(), pattern),
                  errhint("Publish fewer columns, or raise the policy's max_payload with sync_set_policy().")));
}

[[noreturn]] void RaiseTooFast(std::string_view topic, int64 rate, const PublishToken& token) {
  const char* pattern = DecidingPattern(topic, PolicySetting::kPublishRate);
  ereport(ERROR,
          (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
           errmsg("topic \"%.*s\" is at its publish rate of %lld events a second", Length(topic), topic.data(),
                  static_cast<long long>(rate)),
           token.first ? errdetail("publish_rate is set by the policy of \"%s\", for all sessions together. There is "
                                   "room for the next event in %lld ms.",
                                   pattern, static_cast<long long>((token.wait_ns + 999999) / 1000000))
                       : errdetail("publish_rate is set by the policy of \"%s\", for all sessions together. A second's "
                                   "worth of events can come at once.",
                                   pattern),
           errhint("Retry later, write fewer rows in one go, or raise the policy's publish_rate with "
                   "sync_set_policy().")));
}

void CheckRate(std::string_view topic, int64 rate) {
  if (rate == kNoLimit) return;
  const PublishToken token = TakePublishToken(topic, rate);
  if (token.wait_ns != 0) RaiseTooFast(topic, rate, token);
}

}  // namespace

void AdmitEvent(std::string_view topic) {
  if (likely(!AnyCaptureLimits())) return;
  CheckRate(topic, PolicyOf(topic)->publish_rate);
}

bool AdmitUpsert(std::string_view topic, std::string_view doc_key, size_t size) {
  CheckSetting(doc_key, size);
  if (likely(!AnyCaptureLimits())) return true;
  const Policy policy = *PolicyOf(topic);
  const auto bytes = static_cast<int64>(size);
  if (policy.max_payload != kNoLimit && bytes > policy.max_payload) {
    RaiseTooLarge(topic, doc_key, size, policy.max_payload);
  }
  // Last, so that an event that fails for another reason takes no token.
  CheckRate(topic, policy.publish_rate);
  return !policy.pointer && (policy.max_inline == kNoLimit || bytes <= policy.max_inline);
}

}  // namespace oasync
