#include "rpc/parcelable_holder.h"

#include <algorithm>
#include <limits>

namespace adyton::rpc {

Status ParcelableHolder::write_to(Parcel* parcel) const {
  const size_t size = contents_ ? contents_->bytes().size() : 0;
  if (size > std::numeric_limits<int32_t>::max()) return Status::from_transport(TransportError::kBadValue);
  parcel->write_int32(static_cast<int32_t>(stability_));
  parcel->write_int32(static_cast<int32_t>(size));
  return size == 0 ? Status::ok() : parcel->append_from(*contents_, 0, size);
}

Status ParcelableHolder::read_from(const Parcel& parcel) {
  reset();
  const auto stability = parcel.read_int32();
  if (!stability) return stability.error();
  if (*stability != static_cast<int32_t>(stability_))
    return Status::from_transport(TransportError::kBadValue, "a holder of another stability");
  const auto size = parcel.read_int32();
  if (!size) return size.error();
  if (*size < 0 || static_cast<size_t>(*size) > parcel.remaining()) {
    return Status::from_transport(TransportError::kBadValue, "a holder of more than there is");
  }
  if (*size == 0) return Status::ok();
  const size_t start = parcel.read_position();
  auto contents = std::make_shared<Parcel>();
  ADYTON_RPC_TRY(contents->append_from(parcel, start, static_cast<size_t>(*size)));
  ADYTON_RPC_TRY(parcel.set_read_position(start + static_cast<size_t>(*size)));
  contents_ = std::move(contents);
  return Status::ok();
}

std::string ParcelableHolder::to_string() const {
  return contents_ ? "parcelable of " + std::to_string(contents_->bytes().size()) + " bytes" : "null";
}

bool ParcelableHolder::operator==(const ParcelableHolder& other) const {
  if (stability_ != other.stability_) return false;
  if (contents_ == other.contents_) return true;
  return contents_ && other.contents_ && contents_->objects().empty() && other.contents_->objects().empty() &&
         std::ranges::equal(contents_->bytes(), other.contents_->bytes());
}

}  // namespace adyton::rpc
