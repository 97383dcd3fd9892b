// The rows of a tile are rows of C.
const M_ALONG_K = A_ALONG_K;
const N_ALONG_K = B_ALONG_K;
alias Ms = Rows;
alias Ns = Cols;

fn m_size() -> u32 { return rows(); }
fn n_size() -> u32 { return cols(); }
fn m_begin(m: u32) -> Ms { return a_begin(m); }
fn n_begin(n: u32) -> Ns { return b_begin(n); }
fn m_frag(at: Ms, k: u32) -> mat4x4f { return a_frag(at, k); }
fn n_frag(at: Ns, k: u32) -> mat4x4f { return b_frag(at, k); }
