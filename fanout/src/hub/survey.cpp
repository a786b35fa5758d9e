#include "hub/survey.h"

#include <algorithm>
#include <utility>

#include "hub/hub.h"
#include "hub/session.h"

namespace oasync {
SurveyedSession Session::Describe() const {
  SurveyedSession facts;
  facts.id = SubscriptionId();
  facts.subject = grant_->subject;
  facts.org_id = grant_->org_id;
  facts.session_id = grant_->session_id;
  facts.device_id = grant_->device_id;
  facts.token_id = grant_->token_id;
  facts.token_expires_at_s = grant_->expires_at;
  if (client_) {
    facts.client = client_->name;
    facts.client_build_id = client_->build_id;
  }
  facts.encoding = encoding_ == Encoding::kProto ? "proto" : "json";
  facts.is_catching_up = std::any_of(subscriptions_.begin(), subscriptions_.end(),
                                     [](const auto& subscription) { return subscription->is_replaying; });
  // Names are copied of those that are shown only.
  std::vector<std::pair<uint64_t, const Subscription*>> lags;
  lags.reserve(subscriptions_.size());
  for (const auto& subscription : subscriptions_) {
    lags.emplace_back(ShownHeadOf(*subscription) - subscription->sent, subscription.get());
  }
  facts.topics_total = lags.size();
  const size_t shown = std::min(lags.size(), kSurveyedTopics);
  std::partial_sort(lags.begin(), lags.begin() + static_cast<ptrdiff_t>(shown), lags.end(),
                    [](const auto& a, const auto& b) { return a.first > b.first; });
  for (size_t i = 0; i < shown; ++i) {
    const auto& [lag, subscription] = lags[i];
    facts.topics.push_back({subscription->topic->name, subscription->sent, subscription->sent + lag});
  }
  if (shown > 0) facts.lag_events_max = lags.front().first;
  facts.socket = socket_.Describe();
  return facts;
}

Survey Hub::TakeSurvey(const SurveyQuestion& question) const {
  Survey survey;
  size_t looked_at = 0;
  size_t compared = 0;  // subscriptions
  const auto look = [&](const Session& session) {
    if (++looked_at > kSurveyedSessions) {
      survey.is_partial = true;
      return false;
    }
    if (!session.joined() || (!question.subject.empty() && session.grant().subject != question.subject)) return true;
    if (++survey.total > question.limit) return true;
    compared += session.subscription_count();
    if (compared <= kSurveyedSubscriptions || survey.sessions.empty()) {
      survey.sessions.push_back(session.Describe());
    } else {
      survey.is_partial = true;
    }
    return true;
  };
  if (question.topic.empty()) {
    sessions_.ForEach(look);
    return survey;
  }
  const auto topic = topics_.find(question.topic);
  if (topic == topics_.end()) return survey;
  for (const Subscription* subscription : topic->second->subscriptions) {
    if (!look(*subscription->session)) break;
  }
  return survey;
}

size_t Hub::SubscribersOf(const std::string& topic) const {
  const auto found = topics_.find(topic);
  return found == topics_.end() ? 0 : found->second->subscriptions.size();
}

}  // namespace oasync
