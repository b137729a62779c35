// Enrols and matches fingerprints in a virtual machine. The features go in; templates never come out: the interface has no way to ask for
// one.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "adyton/adyton.h"
#include "com/example/biometric/IBiometricMatcher.h"

namespace {

using com::example::biometric::IBiometricMatcher;
using com::example::biometric::MatchResult;

using Features = std::vector<float>;

// What a sensor and its feature extractor would give: a finger of its own for each seed, a little different at each touch.
Features touch(unsigned finger, unsigned attempt) {
  std::mt19937 shape(finger);
  std::mt19937 smudge(finger * 1000 + attempt);
  // One for each: a distribution keeps half of what it draws for its next call.
  std::normal_distribution<float> skin, pressure;
  Features features;
  for (int i = 0; i < IBiometricMatcher::FEATURES; ++i) features.push_back(skin(shape) + 0.2f * pressure(smudge));
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
  TRY(vm->run());
  TRY(vm->waitForReady());
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
