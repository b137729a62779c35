#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "service/metrics/call_metrics.h"
#include "service/metrics/collector.h"
#include "service/metrics/exposition.h"
#include "service/metrics/host_pressure.h"
#include "service/metrics/metrics_server.h"
#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Type = Exposition::Type;

TEST(Exposition, IsSortedEscapedAndHoldsNothingTwice) {
  Exposition to;
  to.add(Type::kGauge, "b", "two\nlines \\ \"", {}, 0.5);
  to.add(Type::kCounter, "a-b", "help", {{"vm", "x\"\\\ny"}, {"q", "2"}}, 9007199254740991.0);
  to.add(Type::kCounter, "a-b", "other", {{"vm", "x\"\\\ny"}, {"q", "2"}}, 3);
  to.add(Type::kCounter, "a-b", "other", {{"vm", "a"}}, 3);
  EXPECT_EQ(to.text(),
            "# HELP a_b help\n# TYPE a_b counter\n"
            "a_b{vm=\"a\"} 3\n"
            "a_b{vm=\"x\\\"\\\\\\ny\",q=\"2\"} 9007199254740991\n"
            "# HELP b two\\nlines \\\\ \"\n# TYPE b gauge\nb 0.5\n");
}

TEST(Exposition, HistogramsAreCumulative) {
  Exposition to;
  to.add_histogram("h", "times", {{"m", "x"}}, {0.1, 1}, {1, 2, 4}, 12.5);
  EXPECT_EQ(to.text(),
            "# HELP h times\n# TYPE h histogram\n"
            "h_bucket{m=\"x\",le=\"0.1\"} 1\nh_bucket{m=\"x\",le=\"1\"} 3\nh_bucket{m=\"x\",le=\"+Inf\"} 7\n"
            "h_sum{m=\"x\"} 12.5\nh_count{m=\"x\"} 7\n");
}

TEST(HostPressure, ReadsWhatTheKernelWrites) {
  const auto all = parse_pressure("memory",
                                  "some avg10=1.25 avg60=0.00 avg300=0.00 total=1234567\n"
                                  "full avg10=0.00 avg60=0.00 avg300=0.00 total=89\nnonsense\n\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].kind, "some");
  EXPECT_EQ(all[0].share_10s, 1.25);
  EXPECT_EQ(all[0].stalled.count(), 1234567);
  EXPECT_EQ(all[1].kind, "full");
  EXPECT_TRUE(parse_pressure("io", "").empty());
}

TEST(CallMetrics, SortsCallsByMethodAndTime) {
  using namespace std::chrono_literals;
  CallMetrics metrics;
  metrics.served("test.IGreeter", "greet", 30us, true);
  metrics.served("test.IGreeter", "greet", 50us, true);
  metrics.served("test.IGreeter", "greet", 30s, false);
  for (int i = 0; i < 100; ++i) metrics.served("test.IGreeter", "", 0us, true);
  Exposition to;
  write_calls("one", metrics.all(), to);
  const std::string text = to.text();
  const std::string labels = "vm=\"one\",interface=\"test.IGreeter\",method=\"greet\"";
  EXPECT_THAT(text, HasSubstr("adyton_rpc_latency_seconds_bucket{" + labels + ",le=\"2e-05\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("adyton_rpc_latency_seconds_bucket{" + labels + ",le=\"5e-05\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("adyton_rpc_latency_seconds_bucket{" + labels + ",le=\"10\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("adyton_rpc_latency_seconds_count{" + labels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("adyton_rpc_failures_total{" + labels + "} 1\n"));
  EXPECT_THAT(text, HasSubstr("adyton_rpc_latency_seconds_count{vm=\"one\",interface=\"test.IGreeter\",method=\"other\"} 100\n"));
  Exposition own;
  write_calls({}, metrics.all(), own);
  EXPECT_THAT(own.text(), HasSubstr("adyton_rpc_latency_seconds_count{interface=\"test.IGreeter\",method=\"greet\"} 3\n"));
}

TEST(VmMetrics, NameWhatTheBackendCounts) {
  VmSample sample;
  sample.info.name = "one";
  sample.info.cid = 2048;
  sample.info.backend = "soft";
  sample.statistics.emplace();
  auto& counts = sample.statistics->counts;
  counts.vm_names = {"code_bytes", "code_flushes"};
  counts.vm = {4096, 1};
  counts.vcpu_names = {"exits.mmio", "exits.wfi", "interrupts", "exits.mmio"};
  counts.vcpus = {{1, 2, 3, 9}, {4, 5, 6, 9}};
  counts.devices = {{"virtio-blk", 7, {{8, 9, 10, 11}}}, {"virtio-blk", 12, {{}}}};
  counts.vsock = {1, 2, 3, 4, 5};
  counts.balloon = {.target = 6, .actual = 7, .returned = 8, .guest_available = 9};
  sample.statistics->threads = {{"vcpu0", std::chrono::milliseconds(1500)}};
  Exposition to;
  write_metrics(sample, to);
  const std::string text = to.text();
  for (const char* line : {
           "adyton_vm_info{vm=\"one\",cid=\"2048\",backend=\"soft\",isolation=\"none\",state=\"not started\"} 1",
           "# TYPE adyton_vm_code_bytes gauge\nadyton_vm_code_bytes{vm=\"one\"} 4096",
           "# TYPE adyton_vm_code_flushes_total counter\nadyton_vm_code_flushes_total{vm=\"one\"} 1",
           "adyton_vcpu_exits_total{vm=\"one\",vcpu=\"0\",reason=\"mmio\"} 1\n",
           "adyton_vcpu_exits_total{vm=\"one\",vcpu=\"1\",reason=\"wfi\"} 5\n",
           "adyton_vcpu_interrupts_total{vm=\"one\",vcpu=\"1\"} 6\n",
           "adyton_virtqueue_kicks_total{vm=\"one\",device=\"virtio-blk\",slot=\"0\",queue=\"0\"} 8\n",
           "adyton_virtqueue_bytes_total{vm=\"one\",device=\"virtio-blk\",slot=\"0\",queue=\"0\",direction=\"to_guest\"} 11\n",
           "adyton_virtio_interrupts_total{vm=\"one\",device=\"virtio-blk\",slot=\"1\"} 12\n",
           "adyton_vsock_bytes_total{vm=\"one\",direction=\"from_guest\"} 4\n",
           "adyton_vm_thread_cpu_seconds_total{vm=\"one\",thread=\"vcpu0\"} 1.5\n",
           "adyton_vm_up{vm=\"one\"} 1\n",
           "adyton_vm_balloon_bytes{vm=\"one\"} 7\n",
           "adyton_vm_returned_bytes_total{vm=\"one\"} 8\n",
           "adyton_guest_memory_available_bytes{vm=\"one\"} 9\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  for (const auto& help : {HasSubstr("# HELP adyton_vcpu_exits_total Times that a vCPU left guest code"),
                           HasSubstr("# HELP adyton_vm_code_flushes_total Times that a VM's code cache was full")}) {
    EXPECT_THAT(text, help);
  }
  Exposition without;
  sample.statistics.reset();
  write_metrics(sample, without);
  EXPECT_THAT(without.text(), HasSubstr("adyton_vm_up{vm=\"one\"} 0\n"));
}

TEST(VmMetrics, SayOfACountThatTheyDoNotKnowWhoseItIs) {
  VmSample sample;
  sample.info.name = "one";
  sample.statistics.emplace();
  sample.statistics->counts.vm_names = {"hypercalls.page"};
  sample.statistics->counts.vm = {3};
  Exposition to;
  write_metrics(sample, to);
  EXPECT_THAT(to.text(), HasSubstr("# HELP adyton_vm_hypercalls_total What the VM's backend counts as 'hypercalls'"));
  EXPECT_THAT(to.text(), HasSubstr("adyton_vm_hypercalls_total{vm=\"one\",reason=\"page\"} 3\n"));
}

class MetricsServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listening = listen_on_path(path_);
    ASSERT_TRUE(listening) << listening.error().message;
    auto server = loop_->call([&] {
      return MetricsServer::start(
          *loop_, std::move(*listening), [this](const auto& deliver) { deliver(document_); }, std::chrono::seconds(1));
    });
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override { stop(); }
  void stop() {
    loop_->call([&] { server_.reset(); });
  }
  [[nodiscard]] UniqueFd dial() const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, path_.data(), path_.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  static std::string ask(const UniqueFd& fd, std::string_view request) {
    EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(got));
    return answer;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/metrics.sock";
  std::string document_ = "a 1\n";
  std::unique_ptr<EventLoop> loop_ = *EventLoop::start();
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesMetricsAndNothingElse) {
  EXPECT_THAT(ask(dial(), "GET /metrics HTTP/1.0\r\n\r\n"),
              ::testing::AllOf(HasSubstr(" 200 "), HasSubstr("version=0.0.4"), HasSubstr("\r\n\r\na 1\n")));
  EXPECT_THAT(ask(dial(), "HEAD /metrics HTTP/1.0\r\n\r\n"), ::testing::AllOf(HasSubstr(" 200 "), Not(HasSubstr("a 1"))));
  EXPECT_THAT(ask(dial(), "GET / HTTP/1.0\r\n\r\n"), HasSubstr(" 404 "));
  EXPECT_THAT(ask(dial(), "POST /metrics HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"), HasSubstr(" 405 "));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(MetricsServerTest, AReaderThatMisbehavesHoldsUpNobody) {
  const UniqueFd silent = dial();
  const UniqueFd garbage = dial();
  EXPECT_THAT(ask(garbage, std::string(100, '\0') + "\r\n\r\n"), HasSubstr(" 400 "));
  {
    const UniqueFd gone = dial();
    ASSERT_GT(::send(gone.get(), "GET /metrics", 12, MSG_NOSIGNAL), 0);
  }
  EXPECT_THAT(ask(dial(), "GET /metrics HTTP/1.0\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n"), Not(HasSubstr("a 1")));
  EXPECT_THAT(ask(dial(), "GET /metrics HTTP/1.0\r\n\r\n"), HasSubstr("a 1"));
  stop();  // does not wait for the silent one
  char byte = 0;
  EXPECT_EQ(::read(silent.get(), &byte, 1), 0);
}

TEST_F(MetricsServerTest, AReaderThatIsSlowGetsAllOfIt) {
  document_.assign(8 << 20, 'm');
  const UniqueFd slow = dial();
  EXPECT_THAT(ask(dial(), "HEAD /metrics HTTP/1.0\r\n\r\n"), HasSubstr("8388608"));
  const std::string answer = ask(slow, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(answer.size(), answer.find("\r\n\r\n") + 4 + document_.size());
}

TEST_F(MetricsServerTest, MoreReadersThanItTakesWaitTheirTurn) {
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < MetricsServer::kMaxConnections; ++i) silent.push_back(dial());
  const UniqueFd waiting = dial();
  EXPECT_THAT(ask(waiting, "GET /metrics HTTP/1.0\r\n\r\n"), HasSubstr("a 1"));  // when the silent ones have been given up
}

TEST(MetricsRequest, IsItsFirstLine) {
  EXPECT_EQ(parse_request_head("GET /metrics HTTP/1.1\r\nHost: x"), MetricsRequest::kGet);
  EXPECT_EQ(parse_request_head("GET /metrics?a=b HTTP/1.1"), MetricsRequest::kGet);
  EXPECT_EQ(parse_request_head("HEAD /metrics HTTP/1.0"), MetricsRequest::kHead);
  EXPECT_EQ(parse_request_head("GET /metrics2 HTTP/1.0"), MetricsRequest::kNotFound);
  EXPECT_EQ(parse_request_head("get /metrics HTTP/1.0"), MetricsRequest::kNotAllowed);
  for (const char* bad : {"", " ", "  ", "GET", "GET /metrics", "GET  /metrics HTTP/1.0", "GET /metrics HTTP/2.0", "\n"})
    EXPECT_EQ(parse_request_head(bad), MetricsRequest::kMalformed) << bad;
}

TEST_F(MetricsServerTest, TakesThePlaceOfWhatWasLeftThere) {
  stop();
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
  SetUp();
  EXPECT_THAT(ask(dial(), "GET /metrics HTTP/1.0\r\n\r\n"), HasSubstr("a 1"));
}

TEST(MetricsPort, IsOnTheLoopbackAlone) {
  auto listening = listen_on_loopback(0);
  ASSERT_TRUE(listening);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ASSERT_EQ(::getsockname(listening->get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  auto taken = listen_on_loopback(ntohs(address.sin_port));
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr(std::to_string(ntohs(address.sin_port))));
}

}  // namespace
}  // namespace adyton::service
