// A program run with pipes to its stdin and from its stdout.
#ifndef ENGRAM_TESTS_SUPPORT_CHILD_PROCESS_H_
#define ENGRAM_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace engram::testing {

class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> command) {
    int in[2], out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) return;
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (const int end : {in[0], in[1], out[0], out[1]}) ::close(end);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~ChildProcess() { Finish(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // Returns: whether all of the next `size` bytes of its stdout came before its end.
  bool Read(void* bytes, std::size_t size) {
    std::size_t got = 0;
    while (got < size) {
      const ssize_t n = ::read(out_, static_cast<char*>(bytes) + got, size - got);
      if (n <= 0) return false;
      got += static_cast<std::size_t>(n);
    }
    return true;
  }

  // Returns: the next line of its stdout, without the end; "" at the end.
  std::string ReadLine() {
    std::string line;
    for (char c = 0; ::read(out_, &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }

  void EndInput() {
    if (in_ >= 0) ::close(in_);
    in_ = -1;
  }

  // Ends its stdin and waits. Returns: its exit code, -1 when it did not exit by itself.
  int Finish() {
    if (pid_ <= 0) return code_;
    EndInput();
    int status = 0;
    if (::waitpid(pid_, &status, 0) == pid_ && WIFEXITED(status)) code_ = WEXITSTATUS(status);
    ::close(out_);
    pid_ = -1;
    return code_;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  int code_ = -1;
};

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_CHILD_PROCESS_H_
