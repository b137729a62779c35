// For tests that let Wireshark's and tcpdump's programs read what we write.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tools/capture/recorder.h"
#include "tools/capture/testing.h"

namespace adyton::capture::testing {

// What a shell command prints; it has to succeed.
inline std::string output_of(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << text;
  return text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("Running as user")) lines.push_back(line);
  }
  return lines;
}

// A capture file that is gone after the test.
struct OracleTest : ::testing::Test {
  ~OracleTest() override { ::unlink(path.c_str()); }

  void record(Writer& writer, Output& out, std::vector<FakeVm*> vms) {
    Recorder recorder(writer, out, -1);
    for (FakeVm* vm : vms) recorder.add(vm->source());
    for (FakeVm* vm : vms) vm->end();
    EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  }
  // tshark's fields of the file's packets, a line each, with spaces between them; `more`: options of tshark.
  [[nodiscard]] std::vector<std::string> fields(const std::string& names, const std::string& more = "") const {
    std::string command = "tshark -r " + path + " -T fields -E separator=' ' " + more;
    std::istringstream stream(names);
    for (std::string name; stream >> name;) command += " -e " + name;
    return lines_of(output_of(command));
  }

  std::string path = "/tmp/adyton-capture-XXXXXX";
  UniqueFd file{::mkstemp(path.data())};
  Output output{UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0))};
};

}  // namespace adyton::capture::testing
