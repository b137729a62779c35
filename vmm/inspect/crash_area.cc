#include "vmm/inspect/crash_area.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace adyton::vmm::inspect {

Result<CrashArea> CrashArea::map(int memory) {
  constexpr size_t kPage = 4096;
  const int seals = ::fcntl(memory, F_GET_SEALS);
  struct stat status {};
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(memory, &status) != 0)
    return fail(ErrorCode::kCorrupt, "the memory for a crash report has to be a memfd that is sealed against shrinking");
  const size_t size = std::min(static_cast<size_t>(status.st_size), kMax) / kPage * kPage;
  if (size == 0) return fail(ErrorCode::kCorrupt, "the memory for a crash report is smaller than a page");
  return CrashArea(TRY(Mapping::shared(memory, size, PROT_READ | PROT_WRITE)));
}

void CrashArea::write(std::string_view text) {
  const size_t size = std::min(text.size(), capacity());
  std::memcpy(mapping_.data(), text.data(), size);
  mapping_.data()[size] = 0;
}

}  // namespace adyton::vmm::inspect
