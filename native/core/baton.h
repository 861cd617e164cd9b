// The right to compute, held by one of two threads at a time: on a CPU, decoder and encoder together would only slow each
// other down, and a text would stand still for as long as a picture is encoded. They take turns, and each turn of the
// encoder lasts as long as the decoder's last one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace qvl {

class Baton {
  public:
    enum Side { kDecoder, kEncoder };

    // Holds the baton while it lives.
    class Turn {
      public:
        Turn(Baton * baton, Side side);  // nullptr: there is no need to take turns
        ~Turn();
        Turn(const Turn &) = delete;
        Turn & operator=(const Turn &) = delete;

      private:
        Baton * baton_;
        Side side_;
    };

    // In a turn of the encoder, between two operations: lets the decoder have a turn if it waits and it is its time.
    void offer();

  private:
    using Time = std::chrono::steady_clock;

    void take(Side side);
    void give(Side side);

    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
    bool waiting_[2] = {};
    Side next_ = kDecoder;  // if both wait
    Time::time_point taken_{};
    Time::duration decoding_{};  // last turn of the decoder
};

}  // namespace qvl
