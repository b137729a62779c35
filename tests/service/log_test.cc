// The log of a real adytond: in the journal, as text, as JSON; and what VMs can do to it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/service/service.h"

namespace adyton::service_tests {
namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ServiceLog : public ::testing::Test {
 protected:
  ServiceLog() {
    ::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    ::fcntl(writer.get(), F_SETPIPE_SZ, 1 << 20);
  }

  // One VM, from its start to its end, which `params` must bring about if there are any.
  void live(const std::string& name, const std::string& params = {}) {
    Client client(daemon);
    const auto callback = std::make_shared<Callback>();
    auto vm = client.service->createVm(raw_config(params, name), std::nullopt, std::nullopt, std::nullopt);
    ASSERT_TRUE(vm) << vm.error().to_string();
    ASSERT_TRUE((*vm)->registerCallback(callback));
    const auto started = (*vm)->start();
    ASSERT_TRUE(started) << started.error().to_string();
    if (params.empty()) { ASSERT_TRUE((*vm)->kill()); }
    callback->wait_for_death();
  }
  // What it has written to standard error, once it has ended.
  std::vector<std::string> lines() {
    EXPECT_EQ(daemon.stop(SIGTERM), 0);
    writer.reset();
    std::istringstream text(read_all(reader.get()));
    std::vector<std::string> all;
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }

  Service daemon;
  UniqueFd reader, writer;
};

TEST_F(ServiceLog, IsTextOnStandardErrorWithTheNameOfTheVmOnEachOfItsLines) {
  daemon.start({}, {}, writer.get());
  live("demo");
  const auto all = lines();
  EXPECT_THAT(all, Contains(ContainsRegex("^2[0-9-]+T[0-9:.]+Z info service\\[[0-9]+\\] version=.*: serves clients at ")));
  EXPECT_THAT(all,
              Contains(ContainsRegex(" info vm\\[[0-9]+\\] vm=demo cid=[0-9]+ client=[0-9]+ cpus=.* isolation=none: starts$")));
  EXPECT_THAT(all, Contains(ContainsRegex(" info vm\\[[0-9]+\\] vm=demo cid=[0-9]+ vmm=[0-9]+ backend=fake: runs$")));
  EXPECT_THAT(all, Contains(ContainsRegex(" info vm\\[[0-9]+\\] vm=demo cid=[0-9]+ lifetime_ms=[0-9]+: has died: ")));
  EXPECT_THAT(all, Contains(HasSubstr(": ends, as it was told to")));
}

TEST_F(ServiceLog, IsJsonIfAskedFor) {
  daemon.start({"--log-format=json", "--log-level=debug"}, {}, writer.get());
  live("demo");
  bool found = false;
  for (const std::string& line : lines()) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(record.is_object()) << line;
    for (const char* const key : {"time", "level", "component", "pid", "message"}) EXPECT_TRUE(record.contains(key)) << line;
    if (record["component"] != "vm") continue;
    EXPECT_EQ(record["vm"], "demo") << line;
    EXPECT_TRUE(record["cid"].is_number()) << line;
    found = true;
  }
  EXPECT_TRUE(found);
}

TEST_F(ServiceLog, IsSilentWhenAllIsWell) {
  daemon.start({}, {"ADYTON_LOG=warning"}, writer.get());
  live("demo");
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_F(ServiceLog, SaysWhyAVmDied) {
  daemon.start({"--log-level=error"}, {}, writer.get());
  live("demo", "at=run:signal:11");
  EXPECT_THAT(lines(), Contains(ContainsRegex(" error vm\\[[0-9]+\\] vm=demo .*: has died: .*signal 11")));
}

TEST_F(ServiceLog, GoesToTheJournalWhenStandardErrorDoes) {
  const std::string path = daemon.folder() + "/journal";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::strcpy(address.sun_path, path.c_str());
  const UniqueFd journal(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(journal.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  ASSERT_EQ(::setsockopt(journal.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
  struct stat status{};
  ASSERT_EQ(::fstat(writer.get(), &status), 0);
  // All entries up to the first that says `last`.
  const auto collect = [&, fd = journal.get()](const std::string& last) {
    std::vector<std::string> entries;
    std::string entry(1 << 16, '\0');
    while (entries.empty() || entries.back().find(last) == std::string::npos) {
      const ssize_t got = ::recv(fd, entry.data(), entry.size(), 0);
      if (got <= 0) break;
      entries.push_back(entry.substr(0, static_cast<size_t>(got)));
    }
    return entries;
  };
  daemon.start(
      {},
      {"ADYTON_JOURNAL_SOCKET=" + path, "JOURNAL_STREAM=" + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)},
      writer.get());
  EXPECT_THAT(collect(": serves clients at "), Contains(HasSubstr(": serves clients at ")));
  live("demo");
  const auto entries = collect(": starts\n");
  EXPECT_THAT(entries, Contains(ContainsRegex("^MESSAGE=vm\\[[0-9]+\\] vm=demo cid=[0-9]+ .*: starts\n"
                                              "PRIORITY=6\n"
                                              "SYSLOG_IDENTIFIER=adytond\n"
                                              "ADYTON_COMPONENT=vm\n"
                                              "ADYTON_PID=[0-9]+\n"
                                              "ADYTON_VM=demo\n"
                                              "ADYTON_CID=[0-9]+\n")));
  EXPECT_THAT(lines(), IsEmpty());
}

// What programs that start the service give it (sdk/launcher.cc).
TEST_F(ServiceLog, DoesNotGrowForeverInAFileOfItsOwn) {
  const std::string path = daemon.folder() + "/run/adytond.log";
  ASSERT_EQ(::mkdir((daemon.folder() + "/run").c_str(), 0700), 0);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(file.get(), (4 << 20) - 1), 0);
  daemon.start({}, {}, file.get());
  live("demo");
  ASSERT_EQ(daemon.stop(SIGTERM), 0);
  EXPECT_LT(std::filesystem::file_size(path), 64u << 10);
  EXPECT_LT(std::filesystem::file_size(path + ".1"), (4u << 20) + 4096);
  const UniqueFd now(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(read_all(now.get()), HasSubstr(" vm=demo "));
}

TEST_F(ServiceLog, StopsNobodyWhenItsReaderHas) {
  ::fcntl(writer.get(), F_SETPIPE_SZ, 4096);
  ::fcntl(writer.get(), F_SETFL, O_NONBLOCK);
  const std::string full(4096, 'x');
  while (::write(writer.get(), full.data(), full.size()) > 0) {}
  ::fcntl(writer.get(), F_SETFL, 0);
  daemon.start({"--log-level=debug"}, {}, writer.get());
  for (int i = 0; i < 5; ++i) live("demo");
  EXPECT_EQ(daemon.stop(SIGTERM), 0);
}

TEST_F(ServiceLog, StopsNobodyWhenItsReaderHasDied) {
  reader.reset();
  daemon.start({"--log-level=debug"}, {}, writer.get());
  live("demo");
  EXPECT_EQ(daemon.stop(SIGTERM), 0);
}

TEST_F(ServiceLog, IsNotFilledByAVmmThatIsOutOfControl) {
  daemon.start({}, {"FAKE_VMM=at=configure:noise"}, writer.get());
  live("demo");
  const auto all = lines();
  EXPECT_THAT(all, Contains(HasSubstr("\\x1b[31mnoise 0 vm=other")));
  EXPECT_THAT(all, Contains(HasSubstr("suppressed: lines of the VM's process")));
  EXPECT_LT(all.size(), 1000u) << "of 20,000";
  for (const std::string& line : all) {
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    if (line.find("noise") != std::string::npos) { EXPECT_THAT(line, ContainsRegex(" error vmm\\[[0-9]+\\] vm=demo cid=")); }
  }
}

TEST_F(ServiceLog, IsNotFilledByAGuestThatDoesStrangeThings) {
  daemon.start({"--log-level=debug", "--vmm=" + real_vmm()}, {}, writer.get());
  {
    Client client(daemon);
    const auto callback = std::make_shared<Callback>();
    const auto vm = *client.service->createVm(raw_config("", "demo"), std::nullopt, std::nullopt, std::nullopt);
    ASSERT_TRUE(vm->registerCallback(callback));
    const auto started = vm->start();
    ASSERT_TRUE(started) << started.error().to_string();
    const UniqueFd console = *vm->openConsole(true);
    EXPECT_EQ(read_exactly(console.get(), 5), "raw> ");
    for (int i = 0; i < 3; ++i) {  // 100,000 accesses each
      ASSERT_EQ(::write(console.get(), "m", 1), 1);
      EXPECT_EQ(read_until(console.get(), "."), "m.");
    }
    ASSERT_EQ(::write(console.get(), "o", 1), 1);
    callback->wait_for_death();
  }
  const auto all = lines();
  EXPECT_THAT(all,
              Contains(ContainsRegex(
                  " debug machine\\[[0-9]+\\] vm=demo cid=[0-9]+ bytes=4: the guest reads at 0xb000000, where no device is$")));
  // Ten, and then one or two for each ten seconds.
  EXPECT_LT(all.size(), 500u);
}

}  // namespace
}  // namespace adyton::service_tests
