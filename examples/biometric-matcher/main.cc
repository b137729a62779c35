// Enrols and matches fingerprints in a virtual machine. The features go in; templates never come out: the interface has no way to ask for
// one.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "adyton/adyton.h"
#include "com/example/biometric/IBiometricMatcher.h"

namespace {

using com::example::biometric::IBiometricMatcher;
using com::example::biometric::MatchResult;

using Features = std::vector<float>;

// Waits until the payload serves, or the virtual machine has stopped.
class Readiness : public adyton::VirtualMachineCallback {
 public:
  void onPayloadReady(adyton::VirtualMachine&) override { end(true); }
  void onStopped(adyton::VirtualMachine&, adyton::StopReason, const std::string&) override { end(false); }

  bool wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return known_; });
    return ready_;
  }

 private:
  void end(bool ready) {
    const std::lock_guard guard(mutex_);
    if (known_) return;
    known_ = true;
    ready_ = ready;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool known_ = false;
  bool ready_ = false;
};

// What a sensor and its feature extractor would give: a finger of its own for each seed, a little different at each touch.
Features touch(unsigned finger, unsigned attempt) {
  std::mt19937 shape(finger);
  std::mt19937 smudge(finger * 1000 + attempt);
  std::normal_distribution<float> normal;
  Features features;
  for (int i = 0; i < IBiometricMatcher::FEATURES; ++i) features.push_back(normal(shape) + 0.2f * normal(smudge));
  return features;
}

void show(const char* what, const MatchResult& result) {
  std::printf("%s: %s%s\n", what, result.matched ? "it is " : "nobody we know", result.identity.c_str());
}

adyton::Result<void> use(IBiometricMatcher& matcher) {
  TRY(matcher.enroll("alice", touch(1, 0)));
  TRY(matcher.enroll("alice", touch(1, 1)));
  TRY(matcher.enroll("bob", touch(2, 0)));
  std::printf("%d people are enrolled\n", TRY(matcher.countIdentities()));
  show("alice's finger again", TRY(matcher.identify(touch(1, 7))));
  show("bob's finger again", TRY(matcher.identify(touch(2, 7))));
  show("a stranger's finger", TRY(matcher.identify(touch(3, 0))));
  std::printf("bob says he is alice: %s\n", TRY(matcher.verify("alice", touch(2, 9))).matched ? "accepted" : "refused");
  std::printf("alice is forgotten: %s\n", TRY(matcher.remove("alice")) ? "yes" : "no");
  show("alice's finger after that", TRY(matcher.identify(touch(1, 8))));
  if (const auto refused = matcher.enroll("carol", Features(3)); !refused) std::printf("a broken sensor: %s\n", refused.error().message().c_str());
  return {};
}

adyton::Result<void> run(const std::string& payload) {
  const auto config = TRY(adyton::VirtualMachineConfig::Builder()
                              .setPayload(payload)
                              .setMemoryBytes(256 << 20)
                              .setIsolation(adyton::IsolationLevel::kNone)
                              .build());
  const auto manager = TRY(adyton::VirtualMachineManager::connect());
  const auto vm = TRY(manager->createTemporary(config, "biometric-matcher-" + std::to_string(::getpid())));
  const auto readiness = std::make_shared<Readiness>();
  vm->setCallback(readiness);
  TRY(vm->run());
  if (!readiness->wait()) return adyton::fail(adyton::ErrorCode::kUnavailable, "the matcher ended before it served");
  const auto matcher = IBiometricMatcher::from_binder(TRY(vm->connectToVsockServer(IBiometricMatcher::PORT)));
  TRY(use(*matcher));
  return vm->stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PAYLOAD\n", argv[0]);
    return 2;
  }
  const auto done = run(argv[1]);
  if (done) return 0;
  std::fprintf(stderr, "%s: %s\n", argv[0], done.error().message.c_str());
  return 1;
}
