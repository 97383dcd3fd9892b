// The rows of a tile are columns of C: C^T = B^T A^T. A tile can have as few as four rows but not as few columns.
const M_ALONG_K = B_ALONG_K;
const N_ALONG_K = A_ALONG_K;
alias Ms = Cols;
alias Ns = Rows;

fn m_size() -> u32 { return cols(); }
fn n_size() -> u32 { return rows(); }
fn m_begin(m: u32) -> Ms { return b_begin(m); }
fn n_begin(n: u32) -> Ns { return a_begin(n); }
fn m_frag(at: Ms, k: u32) -> mat4x4f { return transpose(b_frag(at, k)); }
fn n_frag(at: Ns, k: u32) -> mat4x4f { return transpose(a_frag(at, k)); }
