// The examples do what they say, with a service of their own that ends soon after them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::MatchesRegex;

class Examples : public ::testing::Test {
 protected:
  Examples() {
    folder_.write("config/adyton/adytond.toml", "idle_exit = 1\n");
    ::mkdir((folder_.path() + "/run").c_str(), 0700);
    ::setenv("ADYTON_RUNTIME_DIR", (folder_.path() + "/run").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (folder_.path() + "/config").c_str(), 1);
    ::setenv("XDG_DATA_HOME", (folder_.path() + "/data").c_str(), 1);
  }
  ~Examples() override {
    for (const char* name : {"ADYTON_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) ::unsetenv(name);
  }

  TemporaryFolder folder_;
};

TEST_F(Examples, Calculator) {
  Adyton example = Adyton::shell("exec \"$@\"", {ADYTON_CALCULATOR, ADYTON_CALCULATOR_PAYLOAD});
  EXPECT_EQ(example.finish(), 0) << example.errors();
  EXPECT_EQ(example.output(),
            "the guest says: add gives 42\n"
            "19 + 23 = 42\n"
            "the guest says: multiply gives 42\n"
            "6 * 7 = 42\n"
            "1 + ... + 1000 = 500500\n"
            "1 / 0: division by zero\n"
            "9223372036854775807 * 2: the result does not fit 64 bits\n");
  EXPECT_EQ(example.wait_until_gone(), 0u);
}

TEST_F(Examples, BiometricMatcher) {
  Adyton example = Adyton::shell("exec \"$@\"", {ADYTON_BIOMETRIC_MATCHER, ADYTON_BIOMETRIC_MATCHER_PAYLOAD});
  EXPECT_EQ(example.finish(), 0) << example.errors();
  EXPECT_EQ(example.output(),
            "2 people are enrolled\n"
            "alice's finger again: it is alice\n"
            "bob's finger again: it is bob\n"
            "a stranger's finger: nobody we know\n"
            "bob says he is alice: refused\n"
            "alice is forgotten: yes\n"
            "alice's finger after that: nobody we know\n"
            "a broken sensor: a feature vector has 128 values\n");
  EXPECT_EQ(example.wait_until_gone(), 0u);
}

TEST_F(Examples, DrmPlayer) {
  Adyton example = Adyton::shell("exec \"$@\"", {ADYTON_DRM_PLAYER, ADYTON_DRM_PLAYER_PAYLOAD});
  EXPECT_EQ(example.finish(), 0) << example.errors();
  EXPECT_THAT(example.output(),
              MatchesRegex(
                  "the decryptor's isolation: none\n"
                  "cenc, segment 1: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "cenc, segment 2: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "cenc, segment 3: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "cbcs, segment 1: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "cbcs, segment 2: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "cbcs, segment 3: 8 of 8 frames as they were, 10 NAL units; the first: [0-9a-f]{64}\n"
                  "a changed segment: the segment does not match its tag: it was changed, or the licence has another key than it "
                  "was made with\n"
                  "a changed licence: the licence is for another session, or was changed on its way\n"
                  "another session's licence: the licence is for another session, or was changed on its way\n"
                  "a segment without licence: there is no licence for this key\n"
                  "a wrong key: the segment does not match its tag: it was changed, or the licence has another key than it was "
                  "made with\n"
                  "half a segment: the fragment ends in the middle of a box\n"));
  EXPECT_EQ(example.wait_until_gone(), 0u);
}

}  // namespace
}  // namespace adyton::e2e
