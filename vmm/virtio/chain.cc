#include "vmm/virtio/chain.h"

#include <algorithm>

namespace adyton::vmm::virtio {

std::span<uint8_t> SegmentCursor::next_run(size_t bytes) {
  if (segments_.empty()) return {};
  const iovec& segment = segments_.front();
  const size_t count = std::min(bytes, segment.iov_len - offset_);
  const std::span<uint8_t> run(static_cast<uint8_t*>(segment.iov_base) + offset_, count);
  offset_ += count;
  if (offset_ == segment.iov_len) {
    segments_ = segments_.subspan(1);
    offset_ = 0;
  }
  return run;
}

size_t SegmentCursor::skip(size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const auto run = next_run(bytes - done);
    if (run.empty()) break;
    done += run.size();
  }
  return done;
}

size_t SegmentCursor::take(size_t bytes, std::vector<iovec>& out) {
  size_t done = 0;
  while (done < bytes) {
    const auto run = next_run(bytes - done);
    if (run.empty()) break;
    out.push_back({run.data(), run.size()});
    done += run.size();
  }
  return done;
}

size_t ChainReader::read(std::span<uint8_t> out) {
  size_t done = 0;
  while (done < out.size()) {
    const auto run = next_run(out.size() - done);
    if (run.empty()) break;
    std::memcpy(out.data() + done, run.data(), run.size());
    done += run.size();
  }
  // The copy is what gets checked and used; without this the compiler might read the guest's bytes a second time instead.
  asm volatile("" ::: "memory");
  return done;
}

size_t ChainWriter::write(std::span<const uint8_t> data) {
  size_t done = 0;
  while (done < data.size()) {
    const auto run = next_run(data.size() - done);
    if (run.empty()) break;
    std::memcpy(run.data(), data.data() + done, run.size());
    done += run.size();
  }
  return done;
}

}  // namespace adyton::vmm::virtio
