#include <android/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

// c_headers_test.c
extern "C" int adyton_c_log(const char* text);

namespace {

using ::testing::ElementsAre;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class NdkLogTest : public ::testing::Test {
 protected:
  ~NdkLogTest() override {
    __android_log_set_minimum_priority(ANDROID_LOG_DEFAULT);
    __android_log_set_logger(__android_log_logd_logger);
    __android_log_set_aborter(__android_log_default_aborter);
  }
};

TEST_F(NdkLogTest, LinesGoToStandardErrorWithPriorityAndTag) {
  CaptureStderr();
  EXPECT_EQ(__android_log_write(ANDROID_LOG_VERBOSE, "tag", "one"), 1);
  EXPECT_EQ(__android_log_print(ANDROID_LOG_WARN, "tag", "%s %d", "two", 2), 1);
  EXPECT_EQ(__android_log_buf_write(LOG_ID_CRASH, ANDROID_LOG_ERROR, "tag", "three\nand four\n"), 1);
  EXPECT_EQ(__android_log_buf_print(LOG_ID_MAIN, ANDROID_LOG_DEBUG, "tag", "%c", '5'), 1);
  EXPECT_EQ(__android_log_write(77, "tag", ""), 1);
  EXPECT_EQ(adyton_c_log("from C"), 1);
  EXPECT_EQ(GetCapturedStderr(), "V tag: one\nW tag: two 2\nE tag: three\nE tag: and four\nD tag: 5\n? tag: \nI c: from C\n");
}

TEST_F(NdkLogTest, LongMessagesAreWholeAndErrnoStays) {
  const std::string text(5000, 'x');
  CaptureStderr();
  errno = ENOENT;
  EXPECT_EQ(__android_log_print(ANDROID_LOG_INFO, "tag", "%s: %m", text.c_str()), 1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(GetCapturedStderr(), "I tag: " + text + ": No such file or directory\n");
  // As long as a message may be.
  const std::string huge(1 << 20, 'x');
  CaptureStderr();
  EXPECT_EQ(__android_log_print(ANDROID_LOG_INFO, "tag", "%s", huge.c_str()), 1);
  EXPECT_EQ(GetCapturedStderr().size(), (64u << 10) + 8);
  CaptureStderr();
  EXPECT_EQ(__android_log_write(ANDROID_LOG_INFO, "tag", huge.c_str()), 1);
  EXPECT_EQ(GetCapturedStderr().size(), (64u << 10) + 8) << "whoever has made it";
}

TEST_F(NdkLogTest, TheTagIsTheProgramsUnlessSaid) {
  CaptureStderr();
  __android_log_write(ANDROID_LOG_INFO, nullptr, "text");
  EXPECT_EQ(GetCapturedStderr(), std::string("I ") + ::program_invocation_short_name + ": text\n");
  __android_log_set_default_tag("other");
  CaptureStderr();
  __android_log_write(ANDROID_LOG_INFO, nullptr, "text");
  EXPECT_EQ(GetCapturedStderr(), "I other: text\n");
}

TEST_F(NdkLogTest, MessagesBelowTheMinimumAreNotWritten) {
  EXPECT_EQ(__android_log_is_loggable(ANDROID_LOG_INFO, "tag", ANDROID_LOG_WARN), 0);
  EXPECT_EQ(__android_log_is_loggable_len(ANDROID_LOG_WARN, "tag", 3, ANDROID_LOG_WARN), 1);
  EXPECT_EQ(__android_log_set_minimum_priority(ANDROID_LOG_ERROR), ANDROID_LOG_DEFAULT);
  EXPECT_EQ(__android_log_get_minimum_priority(), ANDROID_LOG_ERROR);
  CaptureStderr();
  EXPECT_EQ(__android_log_print(ANDROID_LOG_WARN, "tag", "nobody reads this"), -EPERM);
  EXPECT_EQ(__android_log_write(ANDROID_LOG_ERROR, "tag", "text"), 1);
  EXPECT_EQ(GetCapturedStderr(), "E tag: text\n");
}

TEST_F(NdkLogTest, ALoggerOfTheProgramGetsMessages) {
  static std::vector<std::string> messages;
  messages.clear();
  __android_log_set_logger([](const __android_log_message* message) {
    messages.push_back(std::to_string(message->buffer_id) + std::to_string(message->priority) + message->tag + message->message);
  });
  __android_log_buf_write(LOG_ID_SYSTEM, ANDROID_LOG_INFO, "tag", "text");
  EXPECT_THAT(messages, ElementsAre("34tagtext"));
  CaptureStderr();
  __android_log_message message{sizeof message, LOG_ID_MAIN, ANDROID_LOG_FATAL, "tag", "a.cc", 7, "text"};
  __android_log_stderr_logger(&message);
  EXPECT_EQ(GetCapturedStderr(), "F tag: a.cc:7] text\n");
}

TEST_F(NdkLogTest, LinesOfThreadsDoNotMix) {
  CaptureStderr();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 50; ++k) __android_log_write(ANDROID_LOG_INFO, "tag", "the same line");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += "I tag: the same line\n";
  EXPECT_EQ(GetCapturedStderr(), expected);
}

TEST_F(NdkLogTest, AnAssertionEndsTheProgram) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(__android_log_assert("1 > 2", "tag", nullptr), "F tag: Assertion failed: 1 > 2");
  EXPECT_DEATH(__android_log_assert("1 > 2", "tag", "%d is not", 1), "F tag: 1 is not");
  EXPECT_EXIT(
      {
        __android_log_set_aborter([](const char* message) { _exit(message == std::string("no") ? 3 : 4); });
        __android_log_assert(nullptr, "tag", "no");
      },
      ::testing::ExitedWithCode(3), "F tag: no");
}

}  // namespace
