// The vsock muxer between a guest that sends any packet and a host whose programs do anything with their sockets.
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "vmm/vsock/muxer.h"

using namespace adyton;
using namespace adyton::vmm;
using fuzz::FuzzInput;
using fuzz::require;

namespace {
constexpr uint64_t kCid = 3;
constexpr size_t kMaxConnections = 6;
constexpr uint32_t kBuffer = 1000;
constexpr size_t kMaxReplies = 4;
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  virtio::EventLoop::Clock::time_point time{};
  auto loop = virtio::EventLoop::create([&time] { return time; }).value();
  vsock::Muxer muxer(kCid,
                     {.max_connections = kMaxConnections, .buffer_bytes = kBuffer, .max_replies = kMaxReplies, .max_waiting = 2});
  observe::TraceSource trace;
  muxer.bind(*loop, trace, [] {});
  muxer.set_active(true, /*seqpacket=*/true);
  std::vector<UniqueFd> sockets;
  require(muxer.listen(1, [&sockets](UniqueFd fd) { sockets.push_back(std::move(fd)); }).has_value());
  require(
      muxer.listen(2, vsock::PacketType::kSeqpacket, [&sockets](UniqueFd fd) { sockets.push_back(std::move(fd)); }).has_value());
  std::vector<vsock::Muxer::Question> questions;
  muxer.set_asker([&questions](const vsock::Muxer::Question& question) { questions.push_back(question); });
  uint8_t memory[4096] = {};
  std::vector<vsock::RxSlot> slots(4);

  while (!input.empty()) {
    switch (input.below(9)) {
      case 0:
      case 1:
      case 2: {
        if (!muxer.can_take()) break;
        vsock::PacketHeader header;
        header.src_cid = input.below(16) ? kCid : input.take<uint64_t>();
        header.dst_cid = input.below(16) ? vsock::kHostCid : input.take<uint64_t>();
        header.src_port = static_cast<uint32_t>(input.below(4));
        header.dst_port =
            input.below(2) ? static_cast<uint32_t>(1 + input.below(3)) : 0x40000000 + static_cast<uint32_t>(input.below(3));
        header.type = input.below(16) ? vsock::PacketType{static_cast<uint16_t>(1 + input.below(2))}
                                      : vsock::PacketType{input.take<uint16_t>()};
        header.op = static_cast<vsock::Op>(input.below(9));
        header.flags = input.below(4) ? static_cast<uint32_t>(input.below(4)) : input.take<uint32_t>();
        header.buf_alloc = input.below(4) ? 4096 : input.take<uint32_t>();
        header.fwd_cnt = input.below(4) ? 0 : input.take<uint32_t>();
        header.len = static_cast<uint32_t>(input.below(2) ? input.below(sizeof(memory)) : 0);
        const size_t split = header.len ? input.below(header.len) : 0;
        const iovec payload[] = {{memory, split}, {memory + split, header.len - split}};
        muxer.on_guest_packet(header, payload);
        break;
      }
      case 3: {  // receive buffers
        const size_t count = 1 + input.below(slots.size());
        for (size_t i = 0; i < count; ++i) {
          slots[i].capacity = static_cast<uint32_t>(1 + input.below(1000));
          slots[i].payload = {{memory, slots[i].capacity}};
          if (slots[i].capacity > 1) slots[i].payload = {{memory, 1}, {memory + 1, slots[i].capacity - 1}};
        }
        const size_t used = muxer.produce(std::span(slots).first(count));
        require(used <= count && (used == count || !muxer.has_output()));
        for (size_t i = 0; i < used; ++i) {
          require(slots[i].header.len <= slots[i].capacity);
          require(slots[i].header.len == 0 || slots[i].header.op == vsock::Op::kRw);
        }
        break;
      }
      case 4:
        while (loop->run_once(0)) {}
        break;
      case 5: {
        if (sockets.empty()) break;
        const size_t index = input.below(sockets.size());
        switch (input.below(4)) {
          case 0:
            static_cast<void>(::send(sockets[index].get(), memory, input.below(sizeof(memory)), MSG_DONTWAIT | MSG_NOSIGNAL));
            break;
          case 1: static_cast<void>(::recv(sockets[index].get(), memory, sizeof(memory), MSG_DONTWAIT)); break;
          case 2: ::shutdown(sockets[index].get(), static_cast<int>(input.below(3))); break;
          case 3: sockets.erase(sockets.begin() + static_cast<ptrdiff_t>(index)); break;
        }
        break;
      }
      case 6:
        if (sockets.size() > 20) sockets.erase(sockets.begin());
        if (input.below(16) == 0) {
          muxer.reset();
        } else if (auto fd = muxer.connect(static_cast<uint32_t>(input.below(4)),
                                           input.below(2) ? vsock::PacketType::kStream : vsock::PacketType::kSeqpacket)) {
          sockets.push_back(std::move(*fd));
        }
        break;
      case 7:
        time += std::chrono::milliseconds(input.below(12'000));
        while (loop->run_once(0)) {}
        break;
      case 8: {  // sockets that others made
        int ends[2];
        const bool ask = !questions.empty() && input.below(4) != 0;
        const bool seqpacket = ask && questions.back().type == vsock::PacketType::kSeqpacket;
        require(::socketpair(AF_UNIX, (seqpacket ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, ends) == 0);
        sockets.emplace_back(ends[0]);
        UniqueFd theirs(ends[1]);
        if (!ask) {
          muxer.connect_hybrid(static_cast<uint32_t>(input.below(4)), std::move(theirs));
        } else {
          muxer.answer(questions.back().id, input.below(4) ? std::move(theirs) : UniqueFd());
          questions.pop_back();
        }
        break;
      }
    }
    require(muxer.connection_count() <= kMaxConnections);
  }
  return 0;
}
