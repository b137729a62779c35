// A service and a listener on what Debian's `aidl --lang=ndk` generates, for the tests that call them.
#pragma once
#include <aidl/oracle/BnEcho.h>
#include <aidl/oracle/BnListener.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace adyton::rpc {

using aidl::oracle::BnEcho;
using aidl::oracle::BnListener;
using aidl::oracle::IListener;
using aidl::oracle::Record;
using ndk::ScopedAStatus;
using ndk::ScopedFileDescriptor;
using ndk::SpAIBinder;

class Echo : public BnEcho {
 public:
  template <typename T>
  static ScopedAStatus back(const T& value, T* result) {
    *result = value;
    return ScopedAStatus::ok();
  }
  static void copy(const Record& value, Record* result) {
    result->number = value.number;
    result->name = value.name;
    result->nickname = value.nickname;
    result->numbers = value.numbers;
    result->words = value.words;
    result->object = value.object;
    if (value.file.get() >= 0) result->file = value.file.dup();
    result->flag = value.flag;
  }
  ScopedAStatus echoBoolean(bool value, bool* result) override { return back(value, result); }
  ScopedAStatus echoByte(int8_t value, int8_t* result) override { return back(value, result); }
  ScopedAStatus echoChar(char16_t value, char16_t* result) override { return back(value, result); }
  ScopedAStatus echoInt(int32_t value, int32_t* result) override { return back(value, result); }
  ScopedAStatus echoLong(int64_t value, int64_t* result) override { return back(value, result); }
  ScopedAStatus echoFloat(float value, float* result) override { return back(value, result); }
  ScopedAStatus echoDouble(double value, double* result) override { return back(value, result); }
  ScopedAStatus echoString(const std::string& value, std::string* result) override { return back(value, result); }
  ScopedAStatus echoNullableString(const std::optional<std::string>& value, std::optional<std::string>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoBooleans(const std::vector<bool>& value, std::vector<bool>* result) override { return back(value, result); }
  ScopedAStatus echoBytes(const std::vector<int8_t>& value, std::vector<int8_t>* result) override { return back(value, result); }
  ScopedAStatus echoChars(const std::vector<char16_t>& value, std::vector<char16_t>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoInts(const std::vector<int32_t>& value, std::vector<int32_t>* result) override { return back(value, result); }
  ScopedAStatus echoNullableInts(const std::optional<std::vector<int32_t>>& value,
                                 std::optional<std::vector<int32_t>>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoLongs(const std::vector<int64_t>& value, std::vector<int64_t>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoFloats(const std::vector<float>& value, std::vector<float>* result) override { return back(value, result); }
  ScopedAStatus echoDoubles(const std::vector<double>& value, std::vector<double>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoStrings(const std::vector<std::string>& value, std::vector<std::string>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoNullableStrings(const std::optional<std::vector<std::optional<std::string>>>& value,
                                    std::optional<std::vector<std::optional<std::string>>>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoRecord(const Record& value, Record* changed, Record* filled, Record* result) override {
    changed->number = -changed->number;
    changed->object = nullptr;
    filled->name = "filled";
    copy(value, result);
    return ScopedAStatus::ok();
  }
  ScopedAStatus echoBinder(const SpAIBinder& value, SpAIBinder* result) override { return back(value, result); }
  ScopedAStatus echoNullableBinder(const SpAIBinder& value, SpAIBinder* result) override { return back(value, result); }
  ScopedAStatus echoListener(const std::shared_ptr<IListener>& value, std::shared_ptr<IListener>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoFile(const ScopedFileDescriptor& value, ScopedFileDescriptor* result) override {
    *result = value.dup();
    return ScopedAStatus::ok();
  }
  ScopedAStatus echoUtf8(const std::string& value, std::string* result) override { return back(value, result); }
  ScopedAStatus echoNullableBooleans(const std::optional<std::vector<bool>>& value,
                                     std::optional<std::vector<bool>>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoNullableListener(const std::shared_ptr<IListener>& value, std::shared_ptr<IListener>* result) override {
    return back(value, result);
  }
  ScopedAStatus echoNullableFile(const ScopedFileDescriptor& value, ScopedFileDescriptor* result) override {
    if (value.get() >= 0) *result = value.dup();
    return ScopedAStatus::ok();
  }
  ScopedAStatus change(std::vector<int32_t>* numbers, std::vector<std::string>* words, std::vector<bool>* flags) override {
    for (int32_t& number : *numbers) number *= 2;
    words->push_back("one more");
    flags->assign(flags->size(), true);
    return ScopedAStatus::ok();
  }
  ScopedAStatus fill(std::vector<int32_t>* numbers, std::vector<std::string>* words) override {
    for (int32_t& number : *numbers) number = 7;
    for (std::string& word : *words) word = "word";
    return ScopedAStatus::ok();
  }
  ScopedAStatus fail(int32_t exception, const std::string& message) override {
    return exception > 0 ? ScopedAStatus::fromServiceSpecificErrorWithMessage(exception, message.c_str())
                         : ScopedAStatus::fromExceptionCodeWithMessage(exception, message.c_str());
  }
  ScopedAStatus tell(const std::shared_ptr<IListener>& listener, const std::string& text) override {
    return listener->heard(text);
  }
};

class Listener : public BnListener {
 public:
  ScopedAStatus heard(const std::string& text) override {
    const std::lock_guard lock(mutex_);
    heard_.push_back(text);
    changed_.notify_all();
    return ScopedAStatus::ok();
  }
  std::vector<std::string> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return heard_.size() >= count; });
    return heard_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> heard_;
};

inline ino_t inode(int fd) {
  struct stat status = {};
  EXPECT_EQ(fstat(fd, &status), 0);
  return status.st_ino;
}

}  // namespace adyton::rpc
