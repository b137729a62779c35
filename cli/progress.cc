#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <string_view>

namespace adyton::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kQuietFor = std::chrono::seconds(1);
constexpr auto kFrame = std::chrono::milliseconds(200);
constexpr std::array<char, 4> kSpinner = {'|', '/', '-', '\\'};

void write_text(int fd, std::string_view text) { (void)!::write(fd, text.data(), text.size()); }

}  // namespace

Progress::Progress(int fd, bool enabled) : fd_(fd), enabled_(enabled) {
  if (!enabled_) return;
  // The thread takes no signals: they are for the thread that knows what to do about them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { show_loop(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  clear();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Progress::step(std::string text) {
  {
    std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  changed_.notify_all();
}

void Progress::clear() {
  {
    std::lock_guard lock(mutex_);
    text_.clear();
    if (shown_) write_text(fd_, "\r\033[K");
    shown_ = false;
  }
  changed_.notify_all();
}

void Progress::show_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !text_.empty(); });
    if (stopping_) return;
    const auto began = Clock::now();
    if (changed_.wait_until(lock, began + kQuietFor, [this] { return stopping_ || text_.empty(); })) continue;
    for (size_t frame = 0; !stopping_ && !text_.empty(); ++frame) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count();
      write_text(fd_, fmt::format("\r\033[K{} {} ({} s)", kSpinner[frame % kSpinner.size()], text_, seconds));
      shown_ = true;
      changed_.wait_for(lock, kFrame);
    }
  }
}

}  // namespace adyton::cli
