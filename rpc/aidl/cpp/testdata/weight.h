// A parcelable written by hand: a number of grams, as text on the wire.
#pragma once
#include <string>

#include "rpc/parcel.h"
#include "rpc/status.h"

namespace com::example::menu {

class Weight {
 public:
  Weight() = default;
  explicit Weight(int grams) : grams_(grams) {}
  [[nodiscard]] int grams() const { return grams_; }

  adyton::rpc::Status write_to(adyton::rpc::Parcel* parcel) const { return parcel->write_string(std::to_string(grams_) + "g"); }
  adyton::rpc::Status read_from(const adyton::rpc::Parcel& parcel) {
    const auto text = parcel.read_string();
    if (!text) return text.error();
    if (!text->ends_with('g')) return adyton::rpc::Status::from_transport(adyton::rpc::TransportError::kBadValue);
    grams_ = std::atoi(text->c_str());
    return {};
  }
  bool operator==(const Weight&) const = default;

 private:
  int grams_ = 0;
};

}  // namespace com::example::menu
