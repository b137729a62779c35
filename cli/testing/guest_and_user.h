// A test that plays the guest's init and the user of a session.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "guest/exec_protocol.h"

namespace adyton::cli::testing {

struct Ends {
  UniqueFd a, b;
};
inline Ends make_pipe() {  // a reads, b writes
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
inline Ends make_stream() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
inline std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}
inline void write_all(int fd, std::string_view text) {
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

class GuestAndUser : public ::testing::Test {
 protected:
  // The user's streams and signals; returns the session's ends of the streams. Its end of the signals is signals_out.
  std::array<UniqueFd, 3> make_user() {
    ::signal(SIGPIPE, SIG_IGN);
    auto in = make_pipe();
    auto out = make_pipe();
    auto err = make_pipe();
    auto signals = make_pipe();
    user_in = std::move(in.b);
    user_out = std::move(out.a);
    user_err = std::move(err.a);
    signals_in = std::move(signals.b);
    signals_out = std::move(signals.a);
    return {std::move(in.a), std::move(out.b), std::move(err.b)};
  }
  void signal(int number) const {
    signalfd_siginfo info{};
    info.ssi_signo = static_cast<uint32_t>(number);
    write_all(signals_in.get(), {reinterpret_cast<const char*>(&info), sizeof(info)});
  }

  void tell(const guest::Message& message) const {
    const auto bytes = *guest::encode(message);
    write_all(control.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  guest::Message hear() {
    for (;;) {
      auto message = reader.next();
      if (message && *message) return std::move(**message);
      uint8_t buffer[4096];
      const ssize_t got = ::read(control.get(), buffer, sizeof(buffer));
      if (got <= 0 || !message) {
        ADD_FAILURE() << "no message from the session";
        return guest::Kill{};
      }
      reader.append({buffer, static_cast<size_t>(got)});
    }
  }

  UniqueFd control;  // the guest's end
  UniqueFd user_in, user_out, user_err, signals_in, signals_out;

 private:
  guest::MessageReader reader;
};

}  // namespace adyton::cli::testing
