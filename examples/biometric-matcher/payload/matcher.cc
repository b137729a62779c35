// The payload: templates live and die in this process's memory, in a virtual machine; what leaves is a yes or no, a score and a name.
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adyton/payload.h"
#include "com/example/biometric/IBiometricMatcher.h"

namespace {

using adyton::rpc::Exception;
using adyton::rpc::Reply;
using adyton::rpc::Status;
using com::example::biometric::IBiometricMatcherStub;
using com::example::biometric::MatchResult;

constexpr float kThreshold = 0.9f;   // cosine similarity that counts as the same finger
constexpr size_t kMaxViews = 16;     // templates of one person
constexpr size_t kMaxNameSize = 256;

using Template = std::vector<float>;  // of length 1

class Matcher : public IBiometricMatcherStub {
 public:
  Reply<> enroll(const std::string& identity, std::span<const float> features) override {
    if (identity.empty() || identity.size() > kMaxNameSize) return adyton::rpc::fail(Exception::kIllegalArgument, "a name has 1 to 256 bytes");
    auto view = normalise(features);
    if (!view) return std::unexpected(view.error());
    const std::lock_guard guard(mutex_);
    auto& views = templates_[identity];
    if (views.size() >= kMaxViews || templates_.size() > static_cast<size_t>(MAX_IDENTITIES)) {
      if (views.empty()) templates_.erase(identity);
      return std::unexpected(Status::from_service_specific(ERROR_TOO_MANY, "no room for another template"));
    }
    views.push_back(std::move(*view));
    return {};
  }

  Reply<MatchResult> identify(std::span<const float> features) override { return best_of(features, std::nullopt); }
  Reply<MatchResult> verify(const std::string& identity, std::span<const float> features) override { return best_of(features, identity); }

  Reply<bool> remove(const std::string& identity) override {
    const std::lock_guard guard(mutex_);
    return templates_.erase(identity) != 0;
  }
  Reply<int32_t> countIdentities() override {
    const std::lock_guard guard(mutex_);
    return static_cast<int32_t>(templates_.size());
  }

 private:
  static Reply<Template> normalise(std::span<const float> features) {
    if (features.size() != static_cast<size_t>(FEATURES)) {
      return adyton::rpc::fail(Exception::kIllegalArgument, "a feature vector has " + std::to_string(FEATURES) + " values");
    }
    const double length = std::sqrt(std::inner_product(features.begin(), features.end(), features.begin(), 0.0));
    if (!std::isfinite(length) || length == 0) return adyton::rpc::fail(Exception::kIllegalArgument, "the features are not numbers, or all zero");
    Template view;
    for (const float value : features) view.push_back(static_cast<float>(value / length));
    return view;
  }

  Reply<MatchResult> best_of(std::span<const float> features, const std::optional<std::string>& only) {
    const auto probe = normalise(features);
    if (!probe) return std::unexpected(probe.error());
    MatchResult best;
    const std::lock_guard guard(mutex_);
    for (const auto& [identity, views] : templates_) {
      if (only && identity != *only) continue;
      for (const Template& view : views) {
        const float score = std::inner_product(view.begin(), view.end(), probe->begin(), 0.0f);
        if (score <= best.score) continue;
        best = {.matched = score >= kThreshold, .score = score, .identity = score >= kThreshold ? identity : ""};
      }
    }
    return best;
  }

  std::mutex mutex_;
  std::map<std::string, std::vector<Template>> templates_;
};

}  // namespace

int main() {
  const auto served = adyton::payload::serve_vsock(std::make_shared<Matcher>(), Matcher::PORT, [] {
    if (const auto told = adyton::payload::notify_ready(); !told) std::fprintf(stderr, "matcher: %s\n", told.error().message.c_str());
  });
  std::fprintf(stderr, "matcher: %s\n", served.error().message.c_str());
  return 1;
}
