#include "vmm/fdt.h"

#include <fmt/format.h>
#include <libfdt.h>

#include <initializer_list>
#include <string_view>

#include "hypervisor/hypervisor.h"
#include "vmm/board.h"
#include "vmm/sbsa_watchdog.h"

namespace adyton::vmm {
namespace {

constexpr uint32_t kGicPhandle = 1, kClockPhandle = 2;
constexpr uint32_t kUartClockHz = 24'000'000;
// Interrupt specifier of the GIC binding: type, number, flags.
constexpr uint32_t kSpi = 0, kPpi = 1, kLevelHigh = 4;

// libfdt's sequential writer; the first error sticks.
class Writer {
 public:
  explicit Writer(size_t size) : blob_(size) {
    check(fdt_create(blob_.data(), static_cast<int>(size)));
    check(fdt_finish_reservemap(blob_.data()));
  }

  class Node {
   public:
    Node(Writer& writer, const std::string& name) : writer_(writer) {
      writer_.check(fdt_begin_node(writer_.data(), name.c_str()));
    }
    ~Node() { writer_.check(fdt_end_node(writer_.data())); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

   private:
    Writer& writer_;
  };
  [[nodiscard]] Node node(const std::string& name) { return Node(*this, name); }

  void bytes(const char* name, const void* value, size_t size) {
    check(fdt_property(data(), name, value, static_cast<int>(size)));
  }
  void flag(const char* name) { bytes(name, nullptr, 0); }
  void text(const char* name, const std::string& value) { bytes(name, value.c_str(), value.size() + 1); }
  void texts(const char* name, std::initializer_list<std::string_view> values) {
    std::string list;
    for (std::string_view value : values) {
      list += value;
      list += '\0';
    }
    bytes(name, list.data(), list.size());
  }
  void cells(const char* name, const std::vector<uint32_t>& values) {
    std::vector<fdt32_t> big_endian;
    for (uint32_t value : values) big_endian.push_back(cpu_to_fdt32(value));
    bytes(name, big_endian.data(), big_endian.size() * sizeof(fdt32_t));
  }
  void quads(const char* name, std::initializer_list<uint64_t> values) {
    std::vector<uint32_t> halves;
    for (uint64_t value : values) {
      halves.push_back(static_cast<uint32_t>(value >> 32));
      halves.push_back(static_cast<uint32_t>(value));
    }
    cells(name, halves);
  }

  Result<std::vector<uint8_t>> finish() {
    check(fdt_finish(data()));
    if (error_)
      return fail(ErrorCode::kInvalidArgument, fmt::format("the device tree does not come together: {}", fdt_strerror(error_)));
    blob_.resize(fdt_totalsize(data()));
    return std::move(blob_);
  }

 private:
  friend class Node;
  void* data() { return blob_.data(); }
  void check(int result) {
    if (result < 0 && !error_) error_ = result;
  }
  std::vector<uint8_t> blob_;
  int error_ = 0;
};

std::string unit(std::string_view name, uint64_t address) { return fmt::format("{}@{:x}", name, address); }

void add_chosen(Writer& w, const FdtConfig& config) {
  auto chosen = w.node("chosen");
  w.text("bootargs", config.bootargs);
  w.text("stdout-path", "/" + unit("pl011", board::kUartBase));
  if (config.initrd) {
    w.quads("linux,initrd-start", {config.initrd->base});
    w.quads("linux,initrd-end", {config.initrd->base + config.initrd->size});
  }
  w.bytes("rng-seed", config.rng_seed.data(), config.rng_seed.size());
  w.quads("kaslr-seed", {config.kaslr_seed});
}

void add_cpus(Writer& w, const FdtConfig& config) {
  auto cpus = w.node("cpus");
  w.cells("#address-cells", {2});
  w.cells("#size-cells", {0});
  for (unsigned i = 0; i < config.cpus; ++i) {
    uint64_t affinity = hypervisor::vcpu_affinity(i);
    auto cpu = w.node(unit("cpu", affinity));
    w.text("device_type", "cpu");
    w.text("compatible", "arm,armv8");
    w.quads("reg", {affinity});
    w.text("enable-method", "psci");
  }
}

void add_interrupt_controller(Writer& w, const FdtConfig& config) {
  auto gic = w.node(unit("intc", board::kGicDistributorBase));
  w.text("compatible", "arm,gic-v3");
  w.cells("#interrupt-cells", {3});
  w.flag("interrupt-controller");
  w.cells("#address-cells", {2});
  w.cells("#size-cells", {2});
  w.flag("ranges");
  w.cells("#redistributor-regions", {1});
  w.quads("reg", {board::kGicDistributorBase, hypervisor::kDistributorSize, board::kGicRedistributorBase,
                  config.cpus * hypervisor::kRedistributorSize});
  w.cells("phandle", {kGicPhandle});
}

void add_timer(Writer& w) {
  auto timer = w.node("timer");
  w.text("compatible", "arm,armv8-timer");
  w.flag("always-on");
  // Secure physical, non-secure physical, virtual, hypervisor.
  w.cells("interrupts", {kPpi, 13, kLevelHigh, kPpi, 14, kLevelHigh, kPpi, 11, kLevelHigh, kPpi, 10, kLevelHigh});
}

void add_uart_and_rtc(Writer& w) {
  {
    auto clock = w.node("apb-pclk");
    w.text("compatible", "fixed-clock");
    w.cells("#clock-cells", {0});
    w.cells("clock-frequency", {kUartClockHz});
    w.text("clock-output-names", "clk24mhz");
    w.cells("phandle", {kClockPhandle});
  }
  {
    auto uart = w.node(unit("pl011", board::kUartBase));
    w.texts("compatible", {"arm,pl011", "arm,primecell"});
    w.quads("reg", {board::kUartBase, board::kUartSize});
    w.cells("interrupts", {kSpi, board::kUartIntid - hypervisor::kFirstSpi, kLevelHigh});
    w.cells("clocks", {kClockPhandle, kClockPhandle});
    w.texts("clock-names", {"uartclk", "apb_pclk"});
  }
  auto rtc = w.node(unit("pl031", board::kRtcBase));
  w.texts("compatible", {"arm,pl031", "arm,primecell"});
  w.quads("reg", {board::kRtcBase, board::kRtcSize});
  w.cells("interrupts", {kSpi, board::kRtcIntid - hypervisor::kFirstSpi, kLevelHigh});
  w.cells("clocks", {kClockPhandle});
  w.text("clock-names", "apb_pclk");
}

// Documentation/devicetree/bindings/watchdog/arm,sbsa-gwdt.yaml: the control frame first.
void add_watchdog(Writer& w, const FdtConfig& config) {
  if (config.watchdog_seconds == 0) return;
  auto watchdog = w.node(unit("watchdog", board::kWatchdogControlBase));
  w.text("compatible", "arm,sbsa-gwdt");
  w.quads("reg", {board::kWatchdogControlBase, SbsaWatchdog::kFrameSize, board::kWatchdogRefreshBase, SbsaWatchdog::kFrameSize});
  w.cells("interrupts", {kSpi, board::kWatchdogIntid - hypervisor::kFirstSpi, kLevelHigh});
  w.cells("timeout-sec", {config.watchdog_seconds});
}

void add_virtio(Writer& w, const FdtConfig& config) {
  for (unsigned slot : config.virtio_slots) {
    auto device = w.node(unit("virtio_mmio", board::virtio_mmio_address(slot)));
    w.text("compatible", "virtio,mmio");
    w.quads("reg", {board::virtio_mmio_address(slot), board::kVirtioMmioSize});
    // Level: the interrupt status register keeps the line up until all causes are acknowledged.
    w.cells("interrupts", {kSpi, board::virtio_mmio_intid(slot) - hypervisor::kFirstSpi, kLevelHigh});
    w.flag("dma-coherent");
  }
}

// "Untrusted": it comes from the host.
void add_instance_id(Writer& w, const FdtConfig& config) {
  if (config.instance_id.empty()) return;
  auto avf = w.node("avf");
  auto untrusted = w.node("untrusted");
  w.bytes("instance-id", config.instance_id.data(), config.instance_id.size());
}

}  // namespace

Result<std::vector<uint8_t>> build_fdt(const FdtConfig& config) {
  if (config.bootargs.find('\0') != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "the kernel command line contains a zero byte");
  for (unsigned slot : config.virtio_slots) {
    if (slot >= board::kVirtioMmioCount)
      return fail(ErrorCode::kInvalidArgument, fmt::format("there is no virtio-mmio slot {}", slot));
  }
  Writer w(kMaxFdtSize);
  {
    auto root = w.node("");
    w.cells("#address-cells", {2});
    w.cells("#size-cells", {2});
    w.text("compatible", "linux,dummy-virt");
    w.text("model", "Adyton virtual board");
    w.cells("interrupt-parent", {kGicPhandle});
    add_chosen(w, config);
    {
      auto memory = w.node(unit("memory", board::kRamBase));
      w.text("device_type", "memory");
      w.quads("reg", {board::kRamBase, config.ram_size});
    }
    add_cpus(w, config);
    {
      auto psci = w.node("psci");
      w.texts("compatible", {"arm,psci-1.0", "arm,psci-0.2"});
      w.text("method", config.psci_by_smc ? "smc" : "hvc");
    }
    add_interrupt_controller(w, config);
    add_timer(w);
    add_uart_and_rtc(w);
    add_watchdog(w, config);
    add_virtio(w, config);
    add_instance_id(w, config);
  }
  return w.finish();
}

}  // namespace adyton::vmm
